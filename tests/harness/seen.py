"""Prints, as a line of JSON, what code in a server finds; a server's own Python runs it."""

import importlib.metadata
import json
import os
import sys
from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager

LEFT_OUT = {".git", ".cache", ".npm", "__pycache__", "build", "default"}
MOST_BYTES = 10000


def texts(folder: Path) -> dict[str, str]:
    """Return the text of each file in a folder by its path; a large one's is empty."""
    found = {}
    for directory, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if name not in LEFT_OUT and not name.endswith(".egg-info")]
        for path in (Path(directory, name) for name in names):
            if path.is_file():
                found[str(path.relative_to(folder))] = path.read_text(errors="replace") if path.stat().st_size < MOST_BYTES else ""
    return found


packages: dict[str, str] = {}
for distribution in importlib.metadata.distributions():
    packages.setdefault(distribution.metadata["Name"].lower(), distribution.version)
told = {
    "cwd": str(Path.cwd()),
    "prefix": sys.prefix,
    "content": texts(Path.cwd()),
    "home": texts(Path.home()),
    "packages": packages,
    "kernels": sorted(KernelSpecManager().find_kernel_specs()),
    "variables": dict(os.environ),
}
sys.stdout.write(json.dumps(told) + "\n")
