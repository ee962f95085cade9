"""An image for builds to begin with that need no more than a shell and its programs; what pushes, copies or packs images has less to do."""

from __future__ import annotations

import subprocess
from pathlib import Path

FOLDER = Path(__file__).parent / "small"
SMALL_IMAGE = "binder-tests-small:1"
"""What the container engine calls it, once it was made there."""


def make_small_image() -> None:
    """Make it in the container engine, which keeps it between runs."""
    subprocess.run(["docker", "build", "--quiet", f"--tag={SMALL_IMAGE}", str(FOLDER)], check=True, capture_output=True)
