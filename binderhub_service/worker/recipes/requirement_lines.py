"""What uv says of requirement files and of the paths in them that it cannot take, as sentences that name line and cure; pure.

Every function reads the end of what uv said, without colours, and returns None where that is not what it knows.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from ...errors import BuildFailed

_BAD_LINE = re.compile(
    r"Couldn.t parse requirement in `(?P<file>[^`\n]{1,300})`[^\n]{0,40}\n {0,8}(?:cause|Caused by): (?P<reason>[^\n]{1,500})\n"
    r" {0,40}(?P<line>[^\n]{1,500})"
)
_NO_BEGINNING = re.compile(
    r"Unexpected '(?P<what>[^\n]{1,4})', expected [^\n]{1,60} the start of a requirement: (?P<file>[^:\n]{1,300}):(?P<line>\d{1,9}):\d"
)
_BAD_PROJECT = re.compile(r"Failed to parse: `?(?P<file>[^`\s]{1,300})`?\n(?P<said>(?:[ \t]{1,20}[^\n]{0,500}\n?){1,8})")
_IN_REPOSITORY = re.compile(r"Distribution not found at: file://\S{1,1000}/\.made/[^/\s]{1,300}/(?:content|aside/definition)/(?P<path>[^\s]{1,300})")
# What a line of a requirements file is, by how it begins, and how to write it.
_MEANT = (
    (re.compile(r"^[!%]?pip3? install\s"), "Write only what is to be installed, one package a line."),
    (re.compile(r"^(?:import|from) "), "Write only the name of the package, without the word import."),
    (re.compile(r"^Package {1,200}Version$"), "This is what pip list prints; write what pip freeze prints."),
    (re.compile(r"^[\w.-]{1,200},"), "Write one package a line, without commas between."),
    (re.compile(r"^git\+git:"), "Write git+https:// and the same host and path."),
    (re.compile(r"^https?://\S{1,300}$"), "Write git+ in front of the address of a repository, or the name of the package."),
    (re.compile(r"^[\w.-]{1,200}\s+v?\d[\w.]{0,50}$"), "Write == between name and version."),
    (re.compile(r"^[\w.-]{1,200}\s+[A-Za-z]"), "Write one package a line."),
    (re.compile(r"^[\w.-]{1,200}\s{0,9}=>"), "Write >= for it."),
    (re.compile(r"^[\w.-]{1,200}\s{0,9}=<"), "Write <= for it."),
    (re.compile(r"^[\w.-]{1,200}\s{0,9}=~"), "Write ~= for it."),
    (re.compile(r"^[\w.-]{1,200}\s{0,9}[<>=!~]=?\s{0,9}[\w.]{1,50}\s{0,9}[<>!~=]"), "Write a comma between two conditions, e.g. >=1.10,<2."),
)
_NO_PROJECT = "does not appear to be a Python project"
_ONE_EQUALS = re.compile(r"(?P<name>[A-Za-z0-9._-]+)\s*=\s*(?P<version>[^=\s]+)")
_OTHER_MACHINE = re.compile(r"Distribution not found at: (?P<url>file://\S+)")
_SHOWN_CHARACTERS = 300


def bad_line(tail: str) -> BuildFailed | None:
    """Return what a line means that is not a requirement, with how to write it."""
    match = _BAD_LINE.search(tail)
    if not match:
        return None
    line = match["line"].strip()[:_SHOWN_CHARACTERS]
    pinned = _ONE_EQUALS.match(line)
    if pinned and 'operator "="' in match["reason"]:
        return BuildFailed(
            f"The line {line} in {match['file']} is written for conda, with one equals sign.",
            code="requirements_failed",
            hint=f"Write {pinned['name']}=={pinned['version']}, with two.",
        )
    return BuildFailed(
        f"The line {line} in {match['file']} is not a requirement: {match['reason'][:_SHOWN_CHARACTERS]}.",
        code="requirements_failed",
        hint=next((hint for pattern, hint in _MEANT if pattern.match(line)), "Correct the line."),
    )


def no_beginning(tail: str) -> BuildFailed | None:
    """Return what a line means that begins as no package's name does."""
    match = _NO_BEGINNING.search(tail)
    if not match:
        return None
    what = match["what"]
    shown = f"'{what}'" if what.isprintable() else " ".join(f"U+{ord(sign):04X}, which is not seen" for sign in what)
    hints = {
        "<": "Git has written a conflict into the file: resolve it. Or it is a page of the web: write one package a line.",
        "_": "Write name==version; names with an underscore are conda's own.",
        '"': "Remove the quotation marks.",
        "'": "Remove the quotation marks.",
    }
    hint = hints.get(what, "Correct the line, or remove it.")
    return BuildFailed(
        f"Line {match['line']} of {match['file']} is not a requirement: no package's name begins with {shown}.", code="requirements_failed", hint=hint
    )


def bad_project(tail: str) -> BuildFailed | None:
    """Return why a pyproject.toml or another file of a project cannot be used."""
    match = _BAD_PROJECT.search(tail)
    if not match:
        return None
    said = match["said"].strip().rpartition("\n")[2].strip()[:_SHOWN_CHARACTERS].rstrip(".")
    return BuildFailed(f"The file {match['file']} cannot be used: {said}.", code="requirements_failed", hint="Correct the file.")


def not_in_repository(tail: str) -> BuildFailed | None:
    """Return which file is named as the repository's own and is not there."""
    match = _IN_REPOSITORY.search(tail)
    return match and BuildFailed(
        f"The requirement {unquote(match['path'])} would be a file of the repository, and is not there.",
        code="requirement_not_found",
        hint="Add the file, or write the package's name and version.",
    )


def other_machine(tail: str) -> BuildFailed | None:
    """Return which path is of the machine where the list was made."""
    match = _OTHER_MACHINE.search(tail)
    return match and BuildFailed(
        f"A requirement is at {match['url'][:_SHOWN_CHARACTERS]}, which names a path of the machine where the list was made.",
        code="requirement_not_found",
        hint="Write the package's name and version instead, as pip list --format=freeze prints them.",
    )


def no_project(tail: str) -> BuildFailed | None:
    """Return that a folder which is named is no project."""
    if _NO_PROJECT not in tail:
        return None
    return BuildFailed(
        "A folder that the requirements name is no Python project: it has no pyproject.toml and no setup.py.",
        code="requirement_not_found",
        hint="Paths begin at the root of the repository, also in a folder binder/: write -e . for the repository itself, if it has one.",
    )
