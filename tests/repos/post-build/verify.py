"""postBuild ran in the repository, with the environment's own Python, and what it made is in the working copy."""

from pathlib import Path

assert Path("made-by-postBuild.txt").read_text().strip() == "1.16.0"
