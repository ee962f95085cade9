"""What people paste: the address of a repository, or that of a branch's, a folder's or a file's page at GitHub or GitLab.

This is read in one place, in hub and service; pages ask the service. tests/vectors/addresses.json has examples.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote

from .addresses import SCP, split
from .images import TRANSPORT
from .refs import SHA
from .refusal import Refused

_SHORTHAND = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+/?")
_HOST_FIRST = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:[0-9]+)?/.+")
_VIEWS = frozenset({"tree", "blob", "raw", "commit", "commits"})
_HTTPS_TWINS = frozenset({"github.com", "gitlab.com"})


@dataclass(frozen=True)
class Pasted:
    """What was pasted and typed.

    Attributes:
        address: what was pasted, as an address.
        repo: the repository's own address.
        ref, path: what was typed, else what the page's address says for sure; empty if nothing does.
        page: the end of a page's address, of which only the repository's branches and tags tell where the ref ends and the path begins.
    """

    address: str
    repo: str
    ref: str = ""
    path: str = ""
    page: tuple[str, ...] = ()


def take_apart(repo: str, ref: str = "", path: str = "", *, shorthand: bool = True) -> Pasted:
    """Take apart what was pasted; what was typed wins.

    Args:
        repo: what was pasted.
        ref: the ref that was typed, if any; of a page's address, the rest is then the path if it begins with this ref.
        path: the path that was typed, if any.
        shorthand: whether ``o/r`` means a repository on GitHub.

    Raises:
        Refused: it is broken, or names no repository.
    """
    if repo.strip().startswith(TRANSPORT):  # an image's name, in which a tag looks like a port
        return Pasted(repo.strip(), repo.strip(), ref, path)
    text = _as_address(repo.strip(), shorthand=shorthand)
    url = split(text)
    if url is None:
        raise Refused("This is not a repository's address.", "Paste it as your browser shows it, e.g. https://github.com/owner/name.")
    if url.scheme not in {"http", "https"}:
        return Pasted(text, text, ref, path)
    host = (url.hostname or "").removeprefix("www.")
    if host == "github.com":
        return _with_page(text, *_github(url), ref, path)
    if "/-/" in url.path or host == "gitlab.com":
        return _with_page(text, *_gitlab(url), ref, path)
    return Pasted(text, text.rstrip("/"), ref, path)


def _as_address(text: str, *, shorthand: bool) -> str:
    if shorthand and _SHORTHAND.fullmatch(text) and not _HOST_FIRST.fullmatch(text):
        return f"https://github.com/{text}"
    if _HOST_FIRST.fullmatch(text) and (shorthand or text.count("/") > 1):
        return f"https://{text}"
    if (scp := SCP.fullmatch(text)) and scp["host"].lower() in _HTTPS_TWINS:
        return f"https://{scp['host']}/{scp['path']}"
    return text


def _github(url: SplitResult) -> tuple[str, list[str]]:
    owner, name, *rest = [*_segments(url.path), "", ""]
    if not name:
        raise Refused("The address names a site, but no repository on it.", "Open the repository's page and copy its address.")
    return f"https://github.com/{owner}/{name.removesuffix('.git')}", [part for part in rest[1:] if part] if rest[:1] and rest[0] in _VIEWS else []


def _gitlab(url: SplitResult) -> tuple[str, list[str]]:
    project, _, page = url.path.partition("/-/")
    name = project.rstrip("/")
    if page or url.hostname == "gitlab.com":
        name = name.removesuffix(".git")
    view, *rest = _segments(page) or [""]
    return f"{url.scheme}://{url.netloc}{name}", rest if view in _VIEWS else []


def _with_page(address: str, repo: str, segments: Sequence[str], ref: str, path: str) -> Pasted:
    parts = [unquote(segment) for segment in segments]
    typed = _segments(ref.strip())
    if typed:
        return Pasted(address, repo, ref, path or ("/".join(parts[len(typed) :]) if parts[: len(typed)] == typed else ""))
    if len(parts) > 1 and not SHA.match(parts[0]):
        return Pasted(address, repo, "", path, tuple(parts))
    return Pasted(address, repo, "".join(parts[:1]), path or "/".join(parts[1:]))


def _segments(path: str) -> list[str]:
    return [segment for segment in path.split("/") if segment]
