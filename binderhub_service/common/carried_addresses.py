"""Links that say in their query what they are about: of nbgitpuller, of a spawn form, of mail programs, of Azure and Bitbucket's server; pure."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qs, unquote

from .link_specs import Linked

# What leads on to another address: the end of the host and the beginning of the path, and the query's names for that address.
_LEAD_ON = (
    ("google.com", "/url", ("q", "url")),
    ("safelinks.protection.outlook.com", "/", ("url",)),
    ("l.facebook.com", "/l.php", ("u",)),
    ("deepnote.com", "/launch", ("url",)),
    ("kaggle.com", "/kernels/welcome", ("src",)),
)
_AZURE_VERSION = re.compile(r"G[BTC](?P<ref>.+)")
_BITBUCKET_SERVER = re.compile(
    r"(?P<context>(?:/[A-Za-z0-9_-]{1,50})?)/(?P<kind>projects|users)/(?P<owner>[^/]{1,200})/repos/(?P<name>[^/]{1,200})(?:/browse(?:/(?P<path>.+))?)?"
)
_OPENED = re.compile(r"/?(?:lab/)?(?:tree|notebooks|edit)/(?P<folder>[^/?]+)/(?P<file>[^?]+)")


def carried_address(url: SplitResult) -> Linked | None:
    """Return what a link carries; None for any other address."""
    host, path = (url.hostname or "").lower(), url.path.rstrip("/")
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    for ending, beginning, names in _LEAD_ON:
        found = next((query[name] for name in names if name in query), "")
        if found and (host == ending or host.endswith(f".{ending}")) and url.path.startswith(beginning):
            return Linked(found)
    repo = query.get("repo", "")
    if repo and (path.endswith("/git-pull") or path.startswith("/nbgitpuller/link")):
        return Linked(repo, query.get("branch", ""), _file_of(repo, query.get("urlpath", "")))
    if repo and "/hub/spawn" in path:
        return Linked(repo, query.get("ref", ""), query.get("path", ""))
    if "/_git/" in url.path and url.query:
        version = _AZURE_VERSION.match(query.get("version", ""))
        return Linked(url._replace(query="", fragment="").geturl(), version["ref"] if version else "", query.get("path", "").strip("/"))
    if page := _BITBUCKET_SERVER.fullmatch(path):
        owner = f"~{page['owner']}" if page["kind"] == "users" else page["owner"]
        address = f"{url.scheme}://{url.netloc}{page['context']}/scm/{owner}/{page['name']}.git"
        return Linked(address, query.get("at", ""), unquote(page["path"] or ""))
    return None


def _file_of(repo: str, opened: str) -> str:
    """Return the file that nbgitpuller opens, in the repository; it puts that into a folder of its name."""
    match = _OPENED.match(opened)
    name = repo.rstrip("/").rpartition("/")[2].removesuffix(".git")
    return match["file"] if match and match["folder"] == name else ""
