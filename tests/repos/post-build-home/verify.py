"""What postBuild puts into its home is part of the environment."""

import sys
from pathlib import Path

assert (Path(sys.prefix) / "home" / "corpora" / "words.txt").read_text() == "one two\n"
