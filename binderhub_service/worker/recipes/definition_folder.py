"""A folder with nothing but the files that define an environment: whatever is made there can depend on nothing else of the repository."""

from __future__ import annotations

from pathlib import Path

from ..environments import Definition


def write_files_alone(definition: Definition, content: Path, folder: Path) -> Path:
    """Make a folder with nothing but the files that define the environment; return it."""
    for path, text in definition.files.items():
        copy = folder / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(text)
        copy.chmod((content / path).stat().st_mode)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
