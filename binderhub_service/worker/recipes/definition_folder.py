"""What uv reads: a folder with nothing but the files that define an environment, or the checkout with files as uv takes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..definition import Definition


def write_files_alone(definition: Definition, content: Path, folder: Path) -> Path:
    """Make a folder of which whatever is made can depend on nothing else of the repository; return it."""
    rewritten = {path: text.encode() for path, text in definition.rewritten.items()}
    for path, text in definition.files.items():
        copy = folder / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(rewritten.get(path, text))
        copy.chmod((content / path).stat().st_mode)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def files_rewritten(definition: Definition, content: Path) -> Iterator[None]:
    """Have in the checkout, for a while, the files as uv takes them; then they are the repository's again."""
    try:
        for path, text in definition.rewritten.items():
            (content / path).write_text(text, encoding="utf-8")
        yield
    finally:
        for path in definition.rewritten:
            (content / path).write_bytes(definition.files[path])
