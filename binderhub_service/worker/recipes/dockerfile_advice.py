"""Which line of a Dockerfile, moved, would let the next commit find in the engine's cache what it installs; pure.

Facts: a step is found in the cache if the steps before it are, and of COPY and ADD also the files that they copy (Docker's documentation of the build
cache). So whatever stands behind a copy of the whole repository is done again for every commit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

_DOCKERFILE = "Dockerfile"
_LONGEST_CHARACTERS = 256 * 1024
_SHOWN_CHARACTERS = 80
_WHOLE = frozenset({".", "./", "*", "./*"})
_INSTALLS = re.compile(
    r"\b(?:pip3?|uv|conda|mamba|micromamba|apt|apt-get|apk|dnf|yum|npm|yarn|pnpm|poetry|pdm)\b[^&|;]{0,200}?\b(?:install|sync|add|create|update|ci)\b"
    r"|\binstall\.packages\b|\bPkg\.(?:add|instantiate)\b"
)
# What installs the repository itself needs the repository.
_OF_ITSELF = re.compile(r"\binstall\b[^&|;]{0,200}?\s(?:-e\s{1,9}|--editable[ =])?['\"]?\.(?:/|\[[^\]]{0,99}\])?['\"]?(?:\s|$|[&|;])")
_REQUIREMENT_FILES = re.compile(r"(?:-r|--requirement|-f|--file)[ =]{0,9}([^\s&|;'\"]{1,200})")


def advice_on(files: Mapping[str, bytes]) -> str:
    """Return a sentence that says which line of the Dockerfile should move behind which, and what takes its place; empty if none should.

    Args:
        files: the contents of the files that define an environment, by path.
    """
    text = next((content for path, content in files.items() if PurePosixPath(path).name == _DOCKERFILE), b"")
    copied: tuple[int, str] | None = None
    for number, instruction in _instructions(text[:_LONGEST_CHARACTERS].decode(errors="replace")):
        keyword, _, rest = instruction.partition(" ")
        keyword = keyword.upper()
        if keyword == "FROM":
            copied = None
        elif keyword in {"COPY", "ADD"} and copied is None and _copies_everything(rest):
            copied = number, instruction
        elif keyword == "RUN" and copied and _INSTALLS.search(rest) and not _OF_ITSELF.search(rest):
            return _sentence(copied, (number, instruction))
    return ""


def _instructions(text: str) -> Iterator[tuple[int, str]]:
    """Yield a Dockerfile's instructions, each with the number of its first line and in one line, without comments."""
    begun, parts = 0, list[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        begun = begun if parts else number
        parts.append(stripped.removesuffix("\\").rstrip())
        if not stripped.endswith("\\"):
            yield begun, " ".join(parts)
            parts = []
    if parts:
        yield begun, " ".join(parts)


def _copies_everything(arguments: str) -> bool:
    words = re.sub(r"[\[\]\",]", " ", arguments).split()
    options = [word for word in words if word.startswith("--")]
    sources = [word for word in words if not word.startswith("--")][:-1]
    return bool(_WHOLE & set(sources)) and not any(option.startswith("--from=") for option in options)


def _sentence(copied: tuple[int, str], installing: tuple[int, str]) -> str:
    named = [name for name in _REQUIREMENT_FILES.findall(installing[1]) if "://" not in name]
    instead = f"copy only {', '.join(dict.fromkeys(named))} before it" if named else "copy before it only what it needs"
    return (
        f"Advice: line {copied[0]} of the Dockerfile ({_shown(copied[1])}) copies the whole repository before line {installing[0]} "
        f"({_shown(installing[1])}), so that every commit installs anew. Move line {copied[0]} behind line {installing[0]}, and {instead}."
    )


def _shown(instruction: str) -> str:
    return instruction if len(instruction) <= _SHOWN_CHARACTERS else f"{instruction[: _SHOWN_CHARACTERS - 1]}…"
