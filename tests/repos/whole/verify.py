"""All that a repository can bring along at once: packages, what postBuild makes in both places, a start script, settings."""

import sys
from pathlib import Path

assert Path("made-by-postBuild.txt").read_text().strip() == "1.16.0"
assert Path("data/made.csv").read_text() == "made\n"
assert (Path(sys.prefix) / "home/.config/corpora/settings.ini").exists()
