"""Links that launch a repository on mybinder.org, or on any hub with the same links, and badges that hold one; pure."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote

from .addresses import split
from .link_specs import Linked, address_and_ref, begins_as_address, project_and_ref
from .paths import path_from_query
from .refusal import Refused

_LINK = re.compile(r"https?://[^\s\"'<>()\[\]|]+")
_BADGE = re.compile(r"[\s\[<]")
_MYBINDER = {"mybinder.org", "www.mybinder.org", "beta.mybinder.org"}
_NO_GIT = {
    "zenodo": "Zenodo",
    "figshare": "Figshare",
    "hydroshare": "HydroShare",
    "dataverse": "Dataverse",
    "ckan": "CKAN",
    "swh": "Software Heritage",
}


def link_in(text: str) -> str:
    """Return the launch link in the source of a badge (Markdown, reStructuredText, HTML); any other text as it is."""
    if not _BADGE.search(text):
        return text
    return next((link for link in _LINK.findall(text) if _spec(link)), text)


def launch_link(address: str) -> Linked | None:
    """Return what a launch link means; None for any other address.

    Raises:
        Refused: it launches something that is no Git repository, or opens what cannot be opened.
    """
    spec = _spec(address)
    if not spec:
        return None
    provider, *parts = spec
    if provider in _NO_GIT:
        raise Refused(f"The link launches a record of {_NO_GIT[provider]}, which cannot be used here.", "Paste the address of a Git repository.")
    query = parse_qs(address.partition("#")[0].partition("?")[2])
    path = path_from_query(*(query.get(name, [""])[0] for name in ("urlpath", "filepath", "labpath")))
    named, ref = _named(provider, parts)
    ref = unquote(ref).strip("/")
    return Linked(named, "" if ref == "HEAD" else ref, path)


def _named(provider: str, parts: list[str]) -> tuple[str, str]:
    """Return the address of what a launch link names, and the ref with its escapes."""
    spec = "/".join(parts)
    if begins_as_address(spec):
        return address_and_ref(spec)
    if provider == "gl":
        project, ref = project_and_ref(spec)
        return f"https://gitlab.com/{project}", ref
    host = {"gh": "github.com", "gist": "gist.github.com"}[provider]
    return f"https://{host}/{'/'.join(map(unquote, parts[:2]))}", "/".join(parts[2:])


def _spec(address: str) -> list[str]:
    """Return what a launch link names, the provider first, with its escapes; empty for any other address."""
    url = split(address)
    if url is None or url.scheme not in {"http", "https"}:
        return []
    parts = [part for part in url.path.split("/") if part]
    if url.hostname in _MYBINDER and parts[:1] == ["repo"] and len(parts) > 2:  # as links were before 2018: repo/OWNER/NAME
        return ["gh", *parts[1:3]]
    spec = parts[parts.index("v2") + 1 :] if "v2" in parts else []
    provider, *rest = spec or [""]
    if provider == "git":
        return spec if begins_as_address("/".join(rest)) else []
    if provider == "gl":
        return spec if "/" in project_and_ref("/".join(rest))[0] else []
    return spec if (provider in {"gh", "gist"} and (len(rest) > 1 or begins_as_address("/".join(rest)))) or (provider in _NO_GIT and rest) else []
