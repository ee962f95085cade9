"""What uv said when it could not make an environment, as a sentence that names the cause; pure.

The messages are those of uv 0.9 to 0.13; an unknown message gives the plainest sentence and the log.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from ...common.git_messages import TRUST_HINT
from ...errors import BuildFailed

_NO_PYTHON = re.compile(
    r"No interpreter found|No download found|Failed to download .{0,300}python|Invalid version request|Querying Python", re.IGNORECASE
)
_LOGIN = re.compile(r"An index URL \((?P<url>[^)\s]+)\) could not be queried due to a lack of valid authentication")
_BAD_LINE = re.compile(
    r"Couldn.t parse requirement in `(?P<file>[^`\n]{1,300})`[^\n]{0,40}\n {0,8}(?:cause|Caused by): (?P<reason>[^\n]{1,500})\n"
    r" {0,40}(?P<line>[^\n]{1,500})"
)
_NO_BEGINNING = re.compile(
    r"Unexpected '(?P<what>[^\n]{1,4})', expected [^\n]{1,60} the start of a requirement: (?P<file>[^:\n]{1,300}):(?P<line>\d{1,9}):\d"
)
_NO_KEY = re.compile(r"git fetch [^\n]{0,200}'(?P<url>ssh://[^'\n]{1,300})'")
_BAD_PROJECT = re.compile(r"Failed to parse: `?(?P<file>[^`\s]{1,300})`?\n(?P<said>(?:[ \t]{1,20}[^\n]{0,500}\n?){1,8})")
_IN_REPOSITORY = re.compile(r"Distribution not found at: file://\S{1,1000}/\.made/[^/\s]{1,300}/(?:content|aside/definition)/(?P<path>[^\s]{1,300})")
# What a line of a requirements file is, by how it begins, and how to write it.
_MEANT = (
    (re.compile(r"[!%]?pip3? install\s"), "Write only what is to be installed, one package a line."),
    (re.compile(r"(?:import|from) "), "Write only the name of the package, without the word import."),
    (re.compile(r"Package {1,200}Version$"), "This is what pip list prints; write what pip freeze prints."),
    (re.compile(r"[\w.-]{1,200},"), "Write one package a line, without commas between."),
    (re.compile(r"git\+git:"), "Write git+https:// and the same host and path."),
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
_REMOTE_FILE = re.compile(r"accessing remote requirements file: (?P<url>\S{1,2000})")
_NO_PROJECT = "does not appear to be a Python project"
_ONE_EQUALS = re.compile(r"(?P<name>[A-Za-z0-9._-]+)\s*=\s*(?P<version>[^=\s]+)")
_OTHER_MACHINE = re.compile(r"Distribution not found at: (?P<url>file://\S+)")
_NO_WHEEL = re.compile(r"(?<![^\s,])(?P<what>[^\s,]{1,200}) ha(?:s|ve) no wheels with a matching (?P<kind>Python|platform)")
_OTHER_HASH = re.compile(r"Hash mismatch for `(?P<what>[^`\n]{1,200})`")
_TAG = re.compile(r"`([A-Za-z0-9_]+)`")
_UNKNOWN_PACKAGE = re.compile(r"[Bb]ecause (?P<name>[A-Za-z0-9._-]+) was not found in the package registry")
_NO_SUCH_VERSION = re.compile(r"[Bb]ecause there (?:is no version|are no versions) of (?P<what>[^\n]+?)(?:,| and |\n|$)")
_BUILD_FAILED = re.compile(r"Failed to build `?(?P<name>[^`\s]+)(?P<own> @ file://)?")
_COMPILER = re.compile(r"\b(?:gcc|g\+\+|cc|clang|cargo|rustc|cmake|gfortran|pkg-config|nvcc|[a-z0-9]+-config)\b|fatal error: |Python\.h")
_OUTSIDE_FAILED = re.compile(r"(?:Failed to fetch|error sending request|dns error|tcp connect error|connection reset|timed out)", re.IGNORECASE)
_NOT_TRUSTED = re.compile(r"invalid peer certificate|certificate verify failed", re.IGNORECASE)
_FROM_ADDRESS = re.compile(r"Failed to download(?: and build)? `(?P<name>[A-Za-z0-9._-]{1,200})(?:\[[^\]`\n]{0,200}\])? @ (?P<url>[^`\n]{1,2000})`")
_NOT_FETCHED = re.compile(r"Failed to fetch|Git operation failed", re.IGNORECASE)
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


def _login_missing(tail: str) -> BuildFailed | None:
    match = _LOGIN.search(tail)
    host = urlsplit(match["url"]).hostname if match else None
    return match and BuildFailed(
        f"The package index at {host} wants a login, which this hub does not have.",
        code="package_index_refused",
        hint="Use an index that is open to all, or ask an administrator for the hub to have a login there.",
    )


def _no_beginning(tail: str) -> BuildFailed | None:
    match = _NO_BEGINNING.search(tail)
    if not match:
        return None
    what = match["what"]
    shown = f"'{what}'" if what.isprintable() else " ".join(f"U+{ord(sign):04X}, which is not seen" for sign in what)
    hints = {
        "<": "Git has written a conflict into the file: resolve it.",
        "_": "Write name==version; names with an underscore are conda's own.",
        '"': "Remove the quotation marks.",
        "'": "Remove the quotation marks.",
    }
    hint = hints.get(what, "Correct the line, or remove it.")
    return BuildFailed(
        f"Line {match['line']} of {match['file']} is not a requirement: no package's name begins with {shown}.", code="requirements_failed", hint=hint
    )


def _no_key(tail: str) -> BuildFailed | None:
    match = _NO_KEY.search(tail)
    url = urlsplit(match["url"]) if match else None
    return url and BuildFailed(
        f"The requirement {url.path.strip('/')} at {url.hostname} could not be fetched by ssh: a build has no key for it.",
        code="requirements_failed",
        hint="Write git+https:// and the same host and path.",
    )


def _bad_line(tail: str) -> BuildFailed | None:
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


def _bad_project(tail: str) -> BuildFailed | None:
    match = _BAD_PROJECT.search(tail)
    if not match:
        return None
    said = match["said"].strip().rpartition("\n")[2].strip()[:_SHOWN_CHARACTERS].rstrip(".")
    return BuildFailed(f"The file {match['file']} cannot be used: {said}.", code="requirements_failed", hint="Correct the file.")


def _not_in_repository(tail: str) -> BuildFailed | None:
    match = _IN_REPOSITORY.search(tail)
    return match and BuildFailed(
        f"The requirement {unquote(match['path'])} would be a file of the repository, and is not there.",
        code="requirement_not_found",
        hint="Add the file, or write the package's name and version.",
    )


def _other_machine(tail: str) -> BuildFailed | None:
    match = _OTHER_MACHINE.search(tail)
    return match and BuildFailed(
        f"The requirement @ {match['url'][:_SHOWN_CHARACTERS]} names a path of the machine where the list was made.",
        code="requirement_not_found",
        hint="Write the package's name and version instead, as pip list --format=freeze prints them.",
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
    hint = "What stands behind + is of another index: name that in a line --extra-index-url, or leave it out." if "+" in match["what"] else ""
    return BuildFailed(
        f"There is no version of the requirement {match['what']}.", code="requirement_not_found", hint=hint or "Ask for a version that exists."
    )


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


def _no_project(tail: str) -> BuildFailed | None:
    if _NO_PROJECT not in tail:
        return None
    return BuildFailed(
        "A folder that the requirements name is no Python project: it has no pyproject.toml and no setup.py.",
        code="requirement_not_found",
        hint="Paths begin at the root of the repository, also in a folder binder/: write -e . for the repository itself, if it has one.",
    )


def _remote_file_away(tail: str) -> BuildFailed | None:
    match = _REMOTE_FILE.search(tail)
    return match and BuildFailed(
        f"The requirements that are at {_host_of(match['url'])} could not be fetched.",
        code="requirement_not_found",
        hint="Check the address behind -r or -c, or try again in a moment.",
    )


def _address_away(tail: str) -> BuildFailed | None:
    match = _FROM_ADDRESS.search(tail)
    if not (match and _NOT_FETCHED.search(tail)):
        return None
    hint = "Check its address; builds have no login and no key for it."
    return BuildFailed(
        f"The requirement {match['name']} could not be fetched from {_host_of(match['url'])}.", code="requirement_not_found", hint=hint
    )


def _host_of(url: str) -> str:
    """Return the host of a requirement's address, and nothing of a login in it."""
    try:
        return urlsplit(url.removeprefix("git+")).hostname or "its address"
    except ValueError:
        return "its address"


def _index_away(tail: str) -> BuildFailed | None:
    if not _OUTSIDE_FAILED.search(tail):
        return None
    sentence, hint = "The package index could not be reached.", "Try again in a moment."
    if _NOT_TRUSTED.search(tail):
        sentence = "The package index could not be reached: its certificate is not trusted here."
        hint = f"{TRUST_HINT} With UV_SYSTEM_CERTS=1 uv trusts whom the machine trusts."
    return BuildFailed(sentence, code="package_index_unavailable", hint=hint)


_READERS: tuple[Callable[[str], BuildFailed | None], ...] = (
    *(_login_missing, _bad_line, _bad_project, _no_beginning, _no_key),
    *(
        _not_in_repository,
        _other_machine,
        _other_hash,
        _no_wheel,
        _unknown_package,
        _no_such_version,
        _conflict,
        _build_failed,
        _no_project,
        _remote_file_away,
        _address_away,
        _index_away,
    ),
)
