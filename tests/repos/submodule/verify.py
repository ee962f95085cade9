"""The submodule's files are there."""

from pathlib import Path

assert Path("part/part.txt").read_text() == "part"
