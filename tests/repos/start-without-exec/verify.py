"""What a start script does is tried at a start only."""

from pathlib import Path

assert Path("start").exists()
