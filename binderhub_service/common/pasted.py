"""What people paste: the address of a repository, that of one of its pages at a forge, a link that launches it, or such a link's badge.

This is read in one place, in hub and service; pages ask the service. tests/vectors/addresses.json has examples.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote

from .addresses import SCP, split
from .carried_addresses import carried_address
from .forge_pages import file_parts, ref_shown
from .images import TRANSPORT
from .launch_links import launch_link, link_in
from .link_specs import Linked, begins_as_address, unescaped
from .not_repositories import refuse_record, refuse_site
from .other_forges import page_elsewhere
from .refs import SHA
from .refusal import Refused

_SHORTHAND = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+/?")
_HOST_FIRST = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:[0-9]+)?/.+")
_HTTPS_TWINS = frozenset({"github.com", "gitlab.com", "gist.github.com"})
_NBVIEWER = ("nbviewer.org", "nbviewer.jupyter.org", "nbviewer.ipython.org")
_COLAB = "colab.research.google.com"
# Sites that show repositories of GitHub, and what stands in front of the repository in their addresses.
_SHOW_GITHUB = {
    **dict.fromkeys(("github.dev", "github1s.com", "codespaces.new", "codeload.github.com"), "/"),
    **dict.fromkeys((*_NBVIEWER, _COLAB, "vscode.dev", "console.paperspace.com"), "/github/"),
    "studiolab.sagemaker.aws": "/import/github/",
    "api.github.com": "/repos/",
}
_SHOW_GISTS = {"gist.github.com": "/", "gist.githubusercontent.com": "/", **dict.fromkeys((*_NBVIEWER, _COLAB), "/gist/")}
GIST_ID = re.compile(r"(?P<gist>[0-9a-f]{20}|[0-9a-f]{32})(?:\.git)?")
"""A gist's identifier, which tells GitHub enough; nobody is called so."""
_GIST_VIEWS = frozenset({"raw", "archive", "revisions", "stargazers", "forks"})
_RAW_GITHUB = frozenset({"raw.githubusercontent.com", "raw.github.com"})
# Where a project's page begins in addresses of GitLab without ``/-/``; no project can be called so.
_OLD_GITLAB = re.compile(r"(?:(?:tree|blob|raw|blame|commits|edit|new)(?:/|$)|merge_requests/\d|commit/[0-9a-f]{7})")
_NOT_SEEN = "\u200b\u200e\u2060\ufeff"
_COMMAND = re.compile(r"(?:\$\s?)?(?:(?:git clone|gh repo clone)\s+(?=\S+$)|(?:pip install\s+)?git\+(?=(?:https?|ssh)://\S+$))")
_PIPS_REF = re.compile(r"\.git@(?P<ref>[^@#\s]{1,255})(?:#\S{0,500})?$")
_TWO_SCHEMES = re.compile(r"https?://(?=https?://)")
_MARKDOWN = re.compile(r"\[[^\]\n]{0,200}\]\((?P<address>https?://[^\s()]+)(?<!\.svg|\.png)\)")
_AROUND = frozenset(("<>", "()", '""', "''", "``", "\u201c\u201d", "\u2018\u2019"))


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
    text = address_in(repo)
    if shorthand or "://" in text:  # else it may be a provider's own
        refuse_record(text)
    text = _as_address(text, shorthand=shorthand)
    url = split(text)
    if url is None:
        raise Refused("This is not a repository's address.", "Paste it as your browser shows it, e.g. https://github.com/owner/name.")
    if url.scheme not in {"http", "https"}:
        return Pasted(text, text, ref, path)
    if linked := _with_named_ref(url) or launch_link(text) or carried_address(url):
        return take_apart(linked.repo, ref or linked.ref, path or linked.path, shorthand=False)
    return _of_page(text, url, ref, path)


def _with_named_ref(url: SplitResult) -> Linked | None:
    """Return what an address with a ref behind ``.git#`` names, as pip and docker write it."""
    return Linked(url._replace(fragment="").geturl(), unquote(url.fragment)) if url.path.endswith(".git") and url.fragment else None


def _of_page(text: str, url: SplitResult, ref: str, path: str) -> Pasted:
    """Take apart the address of a repository or of one of its pages; raises `Refused` if it is that of neither."""
    host = (url.hostname or "").removeprefix("www.")
    if (shown := _SHOW_GISTS.get(host)) and url.path.startswith(shown):
        return _gist(text, _segments(url.path.removeprefix(shown)), ref, path)
    if host in {"github.com", *_RAW_GITHUB} or ((shown := _SHOW_GITHUB.get(host)) and url.path.startswith(shown)):
        return _with_page(text, *_github(url, host), ref, path)
    refuse_site(url)
    if "/-/" in url.path or host == "gitlab.com":
        return _with_page(text, *_gitlab(url), ref, path)
    if elsewhere := page_elsewhere(host, _segments(url.path)):
        repository, page = elsewhere
        return _with_page(text, f"{url.scheme}://{url.netloc}/{'/'.join(repository)}", page, ref, path)
    return Pasted(text, text.rstrip("/"), ref, path)


def address_in(pasted: str) -> str:
    """Return what was pasted without what texts, badges and terminals put around an address, and without the escapes of an address as a whole."""
    text = pasted.strip().strip(_NOT_SEEN).strip().rstrip(",;")
    text = text[1:-1].strip() if text[:1] + text[-1:] in _AROUND else text
    if command := _COMMAND.match(text):
        text = _PIPS_REF.sub(r".git#\g<ref>", text[command.end() :])
    named = _MARKDOWN.fullmatch(text)
    text = link_in(named["address"] if named else text)
    return _TWO_SCHEMES.sub("", unescaped(text) if begins_as_address(text) and "://" not in text else text)


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
    return f"https://github.com/{owner}/{name.removesuffix('.git')}", [*(["raw"] if host in _RAW_GITHUB else []), *filter(None, page)]


def _gitlab(url: SplitResult) -> tuple[str, list[str]]:
    """Return a project on a GitLab, and the rest of the address of its page."""
    project, _, page = url.path.partition("/-/")
    parts = _segments(project)
    begin = next((place for place in range(2, len(parts)) if _OLD_GITLAB.match("/".join(parts[place:]))), None) if not page else None
    name = f"/{'/'.join(parts[:begin])}"
    if page or url.hostname == "gitlab.com":
        name = name.removesuffix(".git")
    return f"{url.scheme}://{url.netloc}{name}", _segments(page) if begin is None else parts[begin:]


def _gist(address: str, parts: Sequence[str], ref: str, path: str) -> Pasted:
    """Take apart ``user/gist`` or ``gist``, and what may follow: a view, a revision and a file."""
    begin = 1 if parts and GIST_ID.fullmatch(parts[0]) else 2
    page = [unquote(part) for part in parts[begin:] if part not in _GIST_VIEWS]
    revision = next((page.pop(0).partition(".")[0] for part in page[:1] if SHA.match(part.partition(".")[0].lower())), "")
    return Pasted(address, f"https://gist.github.com/{'/'.join(parts[:begin])}", ref or revision, path or "/".join(page))


def _with_page(address: str, repo: str, segments: Sequence[str], ref: str, path: str) -> Pasted:
    page = [unquote(segment) for segment in segments]
    parts = file_parts(page)
    typed = _segments(ref)
    if typed:
        return Pasted(address, repo, ref, path or ("/".join(parts[len(typed) :]) if parts[: len(typed)] == typed else ""))
    if not parts:
        return Pasted(address, repo, ref_shown(page), path)
    if len(parts) > 1 and parts[0] != "HEAD" and not SHA.match(parts[0].lower()):
        return Pasted(address, repo, "", path, tuple(parts))
    return Pasted(address, repo, parts[0], path or "/".join(parts[1:]))


def _segments(path: str) -> list[str]:
    return [segment for segment in path.split("/") if segment]
