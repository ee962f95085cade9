"""A file that could not be fetched is left as its pointer."""

from pathlib import Path

assert Path("large.bin").read_text().startswith("version https://git-lfs")
