"""A postBuild without a first line is bash's."""

from pathlib import Path

assert Path("made.txt").read_text() == "hello\n"
