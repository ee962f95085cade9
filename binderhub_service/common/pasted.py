"""What people paste: the address of a repository, that of one of its pages at a forge, a link that launches it, or such a link's badge.

This is read in one place, in hub and service; pages ask the service. tests/vectors/addresses.json has examples.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote

from .addresses import SCP, split
from .forge_pages import FILE_VIEWS, file_parts, ref_shown
from .images import TRANSPORT
from .launch_links import launch_link, link_in
from .other_forges import page_elsewhere
from .refs import SHA
from .refusal import Refused

_SHORTHAND = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+/?")
_HOST_FIRST = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:[0-9]+)?/.+")
_HTTPS_TWINS = frozenset({"github.com", "gitlab.com"})
# Sites that show repositories of GitHub, and what stands in front of the repository in their addresses.
_SHOW_GITHUB = {"github.dev": "/", "nbviewer.org": "/github/", "nbviewer.jupyter.org": "/github/", "colab.research.google.com": "/github/"}
_RAW_GITHUB = "raw.githubusercontent.com"
# Where a project's page begins in addresses of GitLab without ``/-/``; no project can be called so.
_OLD_GITLAB = FILE_VIEWS & {"tree", "blob", "raw", "blame", "commits", "edit", "new"}
_AROUND = frozenset(("<>", '""', "''", "``", "\u201c\u201d", "\u2018\u2019"))


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
    ref = ref.strip()
    text = _as_address(link_in(_unwrapped(repo.strip())), shorthand=shorthand)
    url = split(text)
    if url is None:
        raise Refused("This is not a repository's address.", "Paste it as your browser shows it, e.g. https://github.com/owner/name.")
    if url.scheme not in {"http", "https"}:
        return Pasted(text, text, ref, path)
    if url.path.endswith(".git") and url.fragment:
        text, _, named = text.partition("#")
        return take_apart(text, ref or unquote(named), path, shorthand=False)
    if link := launch_link(text):
        return take_apart(link.repo, ref or link.ref, path or link.path, shorthand=False)
    host = (url.hostname or "").removeprefix("www.")
    if host == "gist.github.com":
        return _gist(text, url, ref, path)
    if host in {"github.com", _RAW_GITHUB} or url.path.startswith(_SHOW_GITHUB.get(host, "//")):
        return _with_page(text, *_github(url, host), ref, path)
    if "/-/" in url.path or host == "gitlab.com":
        return _with_page(text, *_gitlab(url), ref, path)
    if elsewhere := page_elsewhere(host, _segments(url.path)):
        repository, page = elsewhere
        return _with_page(text, f"{url.scheme}://{url.netloc}/{'/'.join(repository)}", page, ref, path)
    return Pasted(text, text.rstrip("/"), ref, path)


def _unwrapped(text: str) -> str:
    """Return an address without what texts put around it: angle brackets or quotation marks."""
    return text[1:-1].strip() if text[:1] + text[-1:] in _AROUND else text


def _as_address(text: str, *, shorthand: bool) -> str:
    if shorthand and _SHORTHAND.fullmatch(text) and not _HOST_FIRST.fullmatch(text):
        return f"https://github.com/{text}"
    if _HOST_FIRST.fullmatch(text) and (shorthand or text.count("/") > 1):
        return f"https://{text}"
    if (scp := SCP.fullmatch(text)) and scp["host"].lower() in _HTTPS_TWINS:
        return f"https://{scp['host']}/{scp['path']}"
    return text


def _github(url: SplitResult, host: str) -> tuple[str, list[str]]:
    """Return a repository on GitHub, and the rest of the address of its page."""
    owner, name, *page = [*_segments(url.path.removeprefix(_SHOW_GITHUB.get(host, ""))), "", ""]
    if not name:
        raise Refused("The address names a site, but no repository on it.", "Open the repository's page and copy its address.")
    return f"https://github.com/{owner}/{name.removesuffix('.git')}", [*(["raw"] if host == _RAW_GITHUB else []), *filter(None, page)]


def _gitlab(url: SplitResult) -> tuple[str, list[str]]:
    """Return a project on a GitLab, and the rest of the address of its page."""
    project, _, page = url.path.partition("/-/")
    parts = _segments(project)
    begin = next((place for place, part in enumerate(parts) if place > 1 and part in _OLD_GITLAB), None) if not page else None
    name = f"/{'/'.join(parts[:begin])}"
    if page or url.hostname == "gitlab.com":
        name = name.removesuffix(".git")
    return f"{url.scheme}://{url.netloc}{name}", _segments(page) if begin is None else parts[begin:]


def _gist(address: str, url: SplitResult, ref: str, path: str) -> Pasted:
    """Take apart ``user/gist`` or ``user/gist/revision``."""
    parts = _segments(url.path)
    revision = parts[2] if len(parts) == 3 and SHA.match(parts[2].lower()) else ""
    repo = f"{url.scheme}://{url.netloc}/{'/'.join(parts[:2] if revision else parts)}"
    return Pasted(address, repo, ref or revision, path)


def _with_page(address: str, repo: str, segments: Sequence[str], ref: str, path: str) -> Pasted:
    page = [unquote(segment) for segment in segments]
    parts = file_parts(page)
    typed = _segments(ref)
    if typed:
        return Pasted(address, repo, ref, path or ("/".join(parts[len(typed) :]) if parts[: len(typed)] == typed else ""))
    if not parts:
        return Pasted(address, repo, ref_shown(page), path)
    if len(parts) > 1 and not SHA.match(parts[0].lower()):
        return Pasted(address, repo, "", path, tuple(parts))
    return Pasted(address, repo, parts[0], path or "/".join(parts[1:]))


def _segments(path: str) -> list[str]:
    return [segment for segment in path.split("/") if segment]
