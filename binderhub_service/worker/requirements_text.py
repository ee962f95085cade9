"""A requirements file as uv takes it, from what pip takes; pure.

Sources: pip's "Requirements File Format" for the options and encodings, uv's "Compatibility with pip" for what it leaves out.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_LONG_MARKS = {codecs.BOM_UTF32_LE: "utf-32-le", codecs.BOM_UTF32_BE: "utf-32-be"}
_CODING = re.compile(rb"#.{0,80}?coding[:=]\s*([A-Za-z0-9_.-]{1,40})")
_COMMENT = re.compile(r"(?:^|\s)#")
# Options of pip that uv reads in a requirements file; "--pre" it passes over, and `Definition.early` has it.
_READ = frozenset(
    {
        *("-r", "--requirement", "-c", "--constraint", "-e", "--editable", "-i", "--index-url", "--extra-index-url", "--no-index"),
        *("-f", "--find-links", "--no-binary", "--only-binary", "--pre", "--prefer-binary", "--trusted-host", "--use-feature"),
    }
)
_WITHOUT_VALUE = frozenset({"--no-index", "--pre", "--prefer-binary"})
_REQUIRE_HASHES = "--require-hashes"
_CONTINUED = re.compile(r"\\\r?(?:\n|\Z)")
_OPTION = re.compile(r"(--[a-z-]+|-[A-Za-z])[\s=]*")
_EDITABLE = ("-e", "--editable")
_VERSIONED = re.compile(r"(?:git|hg|svn|bzr)\+", re.IGNORECASE)
_EGG = re.compile(r"[#&]egg=([A-Za-z0-9._-]+(?:\[[^\]&]*\])?)")
_OF_ONE_REQUIREMENT = re.compile(r"\s--(?:global-option|install-option|config-settings?)\b")


@dataclass(frozen=True)
class Translation:
    """A requirements file for uv.

    Attributes:
        text: the file's text, equal to the original's where uv reads that as pip does.
        notes: sentences about what was left out.
    """

    text: str
    notes: tuple[str, ...]


def decoded(content: bytes) -> str:
    """Return a file's text, in the encoding that pip finds: of its mark, of a ``coding`` comment in its first two lines, or UTF-8.

    Raises:
        UnicodeDecodeError: it is not text in that encoding.
    """
    for mark, encoding in (*_LONG_MARKS.items(), *_MARKS.items()):
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding)
    for line in content.split(b"\n")[:2]:
        named = _CODING.match(line)
        if named and _is_known(named[1].decode()):
            return content.decode(named[1].decode())
    return content.decode("utf-8")


def lines(text: str) -> Iterator[str]:
    """Yield the lines that say something: continued lines joined, comments and blanks left out."""
    for line in _joined(text):
        comment = _COMMENT.search(line)
        stripped = (line[: comment.start()] if comment else line).strip()
        if stripped:
            yield stripped


def _joined(text: str) -> Iterator[str]:
    """Yield lines with those that continue them, as pip joins them: with nothing in between, and no comment is continued."""
    begun = ""
    for line in text.splitlines():
        is_comment = line.lstrip().startswith("#")
        if line.endswith("\\") and not is_comment:
            begun += line.rstrip("\\")
            continue
        yield f"{begun} {line}" if is_comment else begun + line
        begun = ""
    yield begun


def for_uv(path: str, text: str) -> Translation:
    """Return a requirements file as uv takes it.

    Args:
        path: how notes name it.
    """
    notes: list[str] = []
    kept: list[str] = []
    for line in lines(text):
        kept.extend(_option(path, line, notes) if line.startswith("-") else [_requirement(path, line, notes)])
    changed = kept != list(lines(text)) or _CONTINUED.search(text)
    return Translation("".join(f"{line}\n" for line in kept) if changed else text, tuple(notes))


def _option(path: str, line: str, notes: list[str]) -> Iterator[str]:
    """Yield the options of a line, a line each, as far as uv reads them."""
    rest = line
    while option := _OPTION.match(rest):
        name, rest = option[1], rest[option.end() :]
        if name == _REQUIRE_HASHES:
            notes.append(f"The option {name} in {path} is left out: a server's own packages have no hashes. Those that are there are checked.")
            continue
        if name not in _READ:
            notes.append(f"The option {name} in {path} means nothing here and is left out.")
            return
        if name in _EDITABLE:
            yield _not_editable(rest) if _VERSIONED.match(rest) else f"{name} {rest}"
            return
        value, _, others = ("", "", rest) if name in _WITHOUT_VALUE else rest.partition(" ")
        yield f"{name} {value}".strip()
        rest = others.lstrip()


def _not_editable(address: str) -> str:
    """Return a requirement of an address of a repository; pip would have installed it from a checkout, where nobody edits it here."""
    egg = _EGG.search(address)
    if not egg:
        return address
    rest = re.sub(r"^[#&]", "#", address[egg.end() :]) if egg[0].startswith("#") else address[egg.end() :]
    return f"{egg[1]} @ {address[: egg.start()]}{rest}"


def _requirement(path: str, line: str, notes: list[str]) -> str:
    line = line.removesuffix(";").rstrip()  # as before a marker that is not there
    option = _OF_ONE_REQUIREMENT.search(line)
    if not option:
        return line
    notes.append(f"The option {option[0].strip()} in {path} means nothing here and is left out.")
    return line[: option.start()].rstrip()


def _is_known(encoding: str) -> bool:
    try:
        codecs.lookup(encoding)
    except LookupError:
        return False
    return True
