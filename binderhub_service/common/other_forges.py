"""Addresses of pages at Gitea, Forgejo, Bitbucket and others, in the words of GitHub's (see `forge_pages`); pure."""

from __future__ import annotations

from collections.abc import Sequence

from .refusal import Refused

_GITEA_HOSTS = frozenset({"codeberg.org", "gitea.com"})
# What stands in front of branch/NAME, tag/NAME or commit/SHA on every Gitea and Forgejo.
_GITEA_VIEWS = frozenset({"src", "raw", "media", "rendered", "blame", "commits", "_edit"})
_GITEA_KINDS = frozenset({"branch", "tag", "commit"})
# What stands in front of a ref at most other forges: Gitee, Hugging Face, SourceHut, an old GitLab.
_USUAL_VIEWS = frozenset({"tree", "blob"})
_SOURCEHUT = "git.sr.ht"
_BITBUCKET = "bitbucket.org"
_BITBUCKET_VIEWS = frozenset({"src", "raw", "annotate"})
_BITBUCKET_WHOLE = frozenset({"branches", "commits", "deployments", "downloads", "issues", "jira", "pipelines", "pull-requests", "src", "wiki"})


def page_elsewhere(host: str, parts: Sequence[str]) -> tuple[list[str], list[str]] | None:
    """Return the parts of a repository's path, and the rest of the page's address as GitHub would have it; None for an address that is no page's.

    Args:
        host: the address's host.
        parts: the parts of its path, with their percent-escapes.

    Raises:
        Refused: git cannot fetch what the page shows.
    """
    if parts and parts[-1].endswith(".git"):  # a repository, whatever its folders are called
        return None
    begin = next((place for place in range(2, len(parts) - 2) if parts[place] in _GITEA_VIEWS and parts[place + 1] in _GITEA_KINDS), 0)
    if host == _BITBUCKET and len(parts) > 2:
        return list(parts[:2]), _bitbucket(*parts[2:])
    if begin:
        return list(parts[:begin]), ["blob", *parts[begin + 2 :]]
    if host in _GITEA_HOSTS and len(parts) > 2:
        return list(parts[:2]), _gitea(*parts[2:])
    begin = next((place for place in range(2, len(parts) - 1) if parts[place] in _USUAL_VIEWS), 0)
    if begin:
        page = list(parts[begin:])
        return list(parts[:begin]), [*page[:2], *page[3:]] if host == _SOURCEHUT and page[2:3] == ["item"] else page
    return None


def _gitea(view: str, *rest: str) -> list[str]:
    return ["pull" if view == "pulls" and rest else view, *rest]


def _bitbucket(view: str, *rest: str) -> list[str]:
    if view in _BITBUCKET_VIEWS and rest:
        return ["blob", *rest]
    if view == "branch" or (view == "commits" and rest[:1] in (("branch",), ("tag",))):
        return ["tree", *(rest if view == "branch" else rest[1:])]
    if view == "commits" and rest:
        return ["commit", *rest]
    if view == "get":
        return ["archive", *rest]
    if view == "pull-requests" and rest:
        raise Refused("Bitbucket keeps pull requests where git cannot fetch them.", "Copy the address of the branch's page.")
    return [] if view in _BITBUCKET_WHOLE else [view, *rest]
