"""The files that define an environment, read from a checkout whose content is hostile: no link may lead out of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import BuildFailed
from . import requirements_text

_MAX_FILE_BYTES = 10 * 1024 * 1024


class LeadsOut(BuildFailed):
    """A file of the repository is a link out of it."""

    def __init__(self, path: str) -> None:
        super().__init__(f"The file {path} leads out of the repository.", code="environment_invalid", hint="Replace the link by a file.")


class DefinitionFiles:
    """Reads a checkout's files and notes which.

    Attributes:
        taken: the contents of all files that were read, by path.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.taken: dict[str, bytes] = {}

    def path_if_file(self, folder: str, name: str) -> str | None:
        """Return the path of a file in a folder, or None if there is none."""
        path = str(PurePosixPath(folder) / name)
        return path if (self.root / path).is_file() else None

    def take(self, path: str) -> bytes:
        """Return a file's content and note that it is part of the definition; raises `BuildFailed` where it cannot be read."""
        try:
            real = (self.root / path).resolve()
            there = real.is_file()
        except (OSError, RuntimeError, ValueError) as error:  # a link to itself, a name that is too long or holds a zero byte
            raise BuildFailed(f"The file {path!r} cannot be read.", code="environment_invalid", hint="Correct what names it.") from error
        if not real.is_relative_to(self.root):
            raise LeadsOut(path)
        if not there:
            raise BuildFailed(f"The file {path} does not exist.", code="environment_invalid", hint="Add it, or remove what names it.")
        if real.stat().st_size > _MAX_FILE_BYTES:
            raise BuildFailed(f"The file {path} is larger than {_MAX_FILE_BYTES} bytes.", code="environment_invalid", hint="Make it smaller.")
        self.taken[path] = real.read_bytes()
        return self.taken[path]

    def text(self, path: str) -> str:
        """Return a file's text, as `take` does."""
        try:
            text = requirements_text.decoded(self.take(path))
        except UnicodeDecodeError as error:
            raise _not_text(path) from error
        if "\0" in text[:2]:  # UTF-16 without its mark
            raise _not_text(path)
        return text

    def refuse_links_out(self, folder: str, names: Iterable[str]) -> None:
        """Refuse links that would make a program on this machine read a file of this machine."""
        for name in ("", *sorted(names)):
            path = self.root / folder / name
            if path.is_symlink() and not path.resolve().is_relative_to(self.root):
                raise LeadsOut(str(PurePosixPath(folder) / name))

    def list_in(self, path: str | None, table: Mapping[str, Any], name: str) -> list[Any]:
        """Return a list in a table of a file; an empty one if it is not there."""
        value = table.get(name, [])
        if not isinstance(value, list):
            raise BuildFailed(f"In the file {path}, {name} is not a list.", code="environment_invalid", hint="Correct the file.")
        return value

    def toml(self, path: str) -> dict[str, Any]:
        """Return what a TOML file says, as `take` does."""
        import tomllib  # few builds need it, and it takes 10 ms

        try:
            return tomllib.loads(self.text(path))
        except RecursionError as error:
            message = f"The file {path} is nested too deeply to be read."
            raise BuildFailed(message, code="environment_invalid", hint="Write it with fewer brackets in one another.") from error
        except tomllib.TOMLDecodeError as error:
            raise BuildFailed(f"The file {path} is not valid TOML: {error}.", code="environment_invalid", hint="Correct the file.") from error


def _not_text(path: str) -> BuildFailed:
    return BuildFailed(f"The file {path} is not UTF-8 text.", code="environment_invalid", hint="Save it as UTF-8.")


def normalised(path: PurePosixPath) -> str:
    """Return a path without ``.`` and with ``..`` followed as far as it leads."""
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return str(PurePosixPath(*parts))
