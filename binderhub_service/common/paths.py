"""What may be opened in a server: a file of the repository, or a URL path of the server."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from .refusal import CONTROL, Refused, is_text

MAX_PATH_CHARACTERS = 1024
_ADDRESS = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://|(?:https?|ftp|file|javascript|vbscript|data):)", re.IGNORECASE)
_URL_PATH_SAFE = "/%?&=+#:@,;~!$'()*"
_HINT = "Give a file such as notebooks/first.ipynb, or a path such as /lab; without '..' and without an address in front."


def check_path(path: str) -> str:
    """Return a path that stays inside the repository or the server; a file's in its plain form.

    A file may have any name. What stands behind ``?`` or ``#`` in a path of the server goes to the server and nowhere else, so it may be
    anything, an address of another repository included.

    Raises:
        Refused: it is too long, leads out, or is an address of something else (``invalid_path``).
    """
    if len(path) > MAX_PATH_CHARACTERS:
        raise Refused(f"The path to open is longer than {MAX_PATH_CHARACTERS} characters.", code="invalid_path")
    is_url = path.startswith("/")
    place = unquote(re.split(r"[?#]", path, maxsplit=1)[0] if is_url else path)
    if not is_text(path) or CONTROL.search(path) or CONTROL.search(place) or "\\" in place or place.startswith("//") or _ADDRESS.match(place):
        raise Refused("The path to open has to be in the repository or in the server.", _HINT, code="invalid_path")
    if ".." in place.split("/"):
        raise Refused("The path to open leads out of the repository.", "Give it without '..'.", code="invalid_path")
    return path if is_url else "/".join(part for part in path.split("/") if part not in {"", "."})


def path_from_query(urlpath: str, filepath: str, labpath: str) -> str:
    """Return the path that a launch link asks to open; as in BinderHub, a file wins over a URL path.

    Raises:
        Refused: as `check_path`.
    """
    file = (labpath or filepath).rstrip("/")
    if file:
        return check_path(file.lstrip("/"))
    opened = urlpath.lstrip("/")
    return check_path(f"/{opened}") if opened and check_path(opened) else ""


def url_path(path: str) -> str:
    """Return the URL path inside the server that `path` means, percent-encoded; empty if `path` is."""
    if not path or path.startswith("/"):
        return quote(path, safe=_URL_PATH_SAFE)
    return "/lab/tree/" + quote(path)
