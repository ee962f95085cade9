"""What uv said when it could not make an environment, as a sentence that names the cause; pure.

The messages are those of uv 0.9 to 0.13; an unknown message gives the plainest sentence and the log.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

from ...errors import BuildFailed
from . import fetch_errors, requirement_lines

_NO_PYTHON = re.compile(
    r"No interpreter found|No download found|Failed to download .{0,300}python|Invalid version request|Querying Python", re.IGNORECASE
)
# Names that package indexes do not have, or have for something else, and what to do about them.
_MISTAKEN = {
    "python": "The version of Python is named in a file runtime.txt, e.g. python-3.12.",
    "pkg-resources": "It is a mistake of Debian's pip freeze: remove it.",
    "cv2": "Write opencv-python-headless.",
    "pil": "Write pillow.",
    "yaml": "Write pyyaml.",
    "skimage": "Write scikit-image.",
}
_PART_OF_PYTHON = "It is part of Python itself: remove it."
_OTHER_NAME = re.compile(r"hint: `[^`\n]{1,200}` is often confused for `(?P<name>[^`\n]{1,200})`")
_ERROR_LINE = re.compile(r"^[ \t]{1,20}(?:error|(?:\w+\.){0,9}\w*(?:Error|Exception)): [^\n]{1,2000}$", re.MULTILINE)
_NO_WHEEL = re.compile(r"(?<![^\s,])(?P<what>[^\s,]{1,200}) ha(?:s|ve) no wheels with a matching (?P<kind>Python|platform)")
_OTHER_HASH = re.compile(r"Hash mismatch for `(?P<what>[^`\n]{1,200})`")
_TAG = re.compile(r"`([A-Za-z0-9_]+)`")
_UNKNOWN_PACKAGE = re.compile(r"[Bb]ecause (?P<name>[A-Za-z0-9._-]+) was not found in the package registry")
_NO_SUCH_VERSION = re.compile(r"[Bb]ecause there (?:is no version|are no versions) of (?P<what>[^\n]+?)(?:,| and |\n|$)")
_BUILD_FAILED = re.compile(r"Failed to build `?(?P<name>[^`\s]+)(?P<own> @ file://)?")
_COMPILER = re.compile(r"\b(?:gcc|g\+\+|cc|clang|cargo|rustc|cmake|gfortran|pkg-config|nvcc|[a-z0-9]+-config)\b|fatal error: |Python\.h")
_CONCLUSION = ", we can conclude that your requirements are unsatisfiable"
_OWN_PACKAGE = "Correct its pyproject.toml or setup.py. The log says more."
_SHOWN_CHARACTERS = 300


def python_error(python: str, tail: str) -> BuildFailed:
    """Return why no environment with a Python of this version could be begun."""
    if _NO_PYTHON.search(tail):
        return BuildFailed(
            f"Python {python}, which the repository asks for, is not available here.",
            code="python_not_available",
            hint="Ask for another version in runtime.txt, .python-version or requires-python, or have an administrator install this one.",
        )
    return BuildFailed("The environment could not be created.", code="environment_failed", hint="The log says why.")


def install_error(tail: str) -> BuildFailed:
    """Return why requirements could not be installed, from the end of what uv said, without colours."""
    found = (reader(tail) for reader in _READERS)
    return next(filter(None, found), None) or BuildFailed(
        "The requirements could not be installed.", code="requirements_failed", hint="The end of the log says why."
    )


def _other_hash(tail: str) -> BuildFailed | None:
    match = _OTHER_HASH.search(tail)
    return match and BuildFailed(
        f"The file of {match['what']} in the package index has none of the hashes that the requirements give.",
        code="requirements_failed",
        hint="Make the list of requirements anew, and find out why the file has changed.",
    )


def _no_wheel(tail: str) -> BuildFailed | None:
    match = _NO_WHEEL.search(tail)
    if not match:
        return None
    hint = tail.partition("hint:")[2]
    tags = _TAG.findall(hint[hint.rfind("following") :])
    if match["kind"] == "platform":
        systems = "Windows" if tags and all(tag.startswith("win") for tag in tags) else "other systems"
        return BuildFailed(
            f"{match['what']} is made for {systems} only.",
            code="requirement_not_for_this_system",
            hint=f"Remove it, or write behind it: ; sys_platform == 'win32'{'' if systems == 'Windows' else ' (or its own system)'}.",
        )
    here = re.search(r"(?:CPython|Python) (3\.\d+)", hint)
    others = sorted({int(tag[3:].rstrip("mut")) for tag in tags if re.fullmatch(r"cp3\d+[mut]*", tag)})
    example = f", e.g. python-3.{others[-1]}" if others else ""
    return BuildFailed(
        f"{match['what']} is not for Python {here[1] if here else 'of this version'}.",
        code="requirement_not_for_this_python",
        hint=f"Ask for another Python in a file runtime.txt{example}, or for another version of it.",
    )


def _unknown_package(tail: str) -> BuildFailed | None:
    match = _UNKNOWN_PACKAGE.search(tail)
    return match and BuildFailed(
        f"The requirement {match['name']} does not exist in the package index.",
        code="requirement_not_found",
        hint=_MISTAKEN.get(
            match["name"].lower(), _PART_OF_PYTHON if match["name"] in sys.stdlib_module_names else "Check its spelling, or remove it."
        ),
    )


def _no_such_version(tail: str) -> BuildFailed | None:
    match = _NO_SUCH_VERSION.search(tail)
    if not match:
        return None
    hint, name = "Ask for a version that exists.", re.match(r"\w*", match["what"])
    if name and name[0] in sys.stdlib_module_names:
        hint = _PART_OF_PYTHON
    elif "+" in match["what"]:
        hint = "What stands behind + is of another index: name that in a line --extra-index-url, or leave it out."
    return BuildFailed(f"There is no version of the requirement {match['what']}.", code="requirement_not_found", hint=hint)


def _conflict(tail: str) -> BuildFailed | None:
    if "No solution found" not in tail:
        return None
    asked = " ".join(tail.partition(_CONCLUSION)[0].rpartition("you require ")[2].split())
    named = f": {asked}" if asked and len(asked) <= _SHOWN_CHARACTERS else ""
    return BuildFailed(
        f"The requirements contradict each other, or what a Jupyter server needs{named}.",
        code="requirements_conflict",
        hint="The log names the conflict; loosen a version.",
    )


def _build_failed(tail: str) -> BuildFailed | None:
    match = _BUILD_FAILED.search(tail)
    if not match and "The build backend returned an error" in tail:  # of what is installed where it is
        return BuildFailed(f"The repository's own package could not be built.{_said_last(tail)}", code="requirement_build_failed", hint=_OWN_PACKAGE)
    if not match:
        return None
    if match["own"]:
        return BuildFailed(
            f"The repository's own package {match['name']} could not be built.{_said_last(tail)}",
            code="requirement_build_failed",
            hint=_OWN_PACKAGE,
        )
    if _COMPILER.search(tail):
        return BuildFailed(
            f"The requirement {match['name']} could not be built from source: it needs a compiler or a library of the system.",
            code="requirement_build_failed",
            hint="Ask for a version with ready-made wheels, or use a hub in docker or kubernetes mode. The log says more.",
        )
    if other := _OTHER_NAME.search(tail):
        return BuildFailed(
            f"The requirement {match['name']} could not be built from source.",
            code="requirement_build_failed",
            hint=f"Probably {other['name']} is meant.",
        )
    return BuildFailed(
        f"The requirement {match['name']} could not be built from source.{_said_last(tail)}",
        code="requirement_build_failed",
        hint="Ask for a version with ready-made wheels, or for another Python in runtime.txt. The log says more.",
    )


def _said_last(tail: str) -> str:
    """Return the last error of a build's own output, which is indented below its heading, or else its last line, as a sentence."""
    told = tail.partition("hint:")[0].rstrip()
    errors = _ERROR_LINE.findall(told)
    output = errors[-1] if errors else told.rpartition("\n")[2]
    last = output.strip().removeprefix("cause: ").removeprefix("error: ")
    return f" It said: {last[:_SHOWN_CHARACTERS].rstrip('.')}." if output.startswith("  ") and last else ""


# In the order in which they are asked: what names the cause comes before what only follows from it.
_READERS: tuple[Callable[[str], BuildFailed | None], ...] = (
    fetch_errors.login_missing,
    requirement_lines.bad_line,
    requirement_lines.bad_project,
    requirement_lines.no_beginning,
    fetch_errors.like_scp,
    fetch_errors.no_key,
    fetch_errors.ref_away,
    fetch_errors.other_name,
    requirement_lines.not_in_repository,
    requirement_lines.other_machine,
    _other_hash,
    _no_wheel,
    _unknown_package,
    _no_such_version,
    _conflict,
    _build_failed,
    requirement_lines.no_project,
    fetch_errors.remote_file_away,
    fetch_errors.address_away,
    fetch_errors.index_away,
)
