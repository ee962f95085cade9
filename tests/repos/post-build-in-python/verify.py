"""A postBuild may be in any language that is there."""

import sys
from pathlib import Path

assert Path("made.txt").read_text() == sys.prefix
