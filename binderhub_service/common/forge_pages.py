"""What the pages of a repository at GitHub and GitLab show: a branch's files, a commit, a pull request; pure.

A page is the parts of its address behind the repository's own, without percent-escapes, e.g. ``["blob", "main", "a.ipynb"]``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .refs import SHA
from .refusal import Refused

# A ref follows, then a path.
FILE_VIEWS = frozenset({"tree", "blob", "raw", "blame", "edit", "new", "commits", "find", "find_file", "upload", "create", "delete"})
# Pages about the whole repository: they name no ref, and hide none.
_WHOLE = frozenset(
    {"activity", "branches", "commits", "contributors", "forks", "graphs", "insights", "network", "pulse", "releases", "tags"}  # code
    | {"boards", "discussions", "issues", "labels", "merge_requests", "milestones", "projects", "pulls", "work_items"}  # talk
    | {"actions", "deployments", "environments", "jobs", "packages", "pipelines", "security", "settings"}  # machinery
    | {"codespaces", "community", "fork", "milestone", "search"}
    | {"project_members", "snippets", "stargazers", "starrers", "watchers", "wiki", "wikis"}
)
_REVIEWS: Mapping[str, str] = {"pull": "refs/pull/{}/head", "merge_requests": "refs/merge-requests/{}/head"}
_ARCHIVE_VIEWS = frozenset({"archive", "zipball", "tarball", "zip", "tar.gz", "legacy.zip", "legacy.tar.gz"})
_ARCHIVES = (".zip", ".tar.gz", ".tar.bz2", ".tar")
_HINT = "Copy the address of the branch's page, or type the branch, the tag or the commit into its own field (in a request: ref)."


def file_parts(page: Sequence[str]) -> list[str]:
    """Return what follows the kind of a page that shows files: a ref, then a path; empty for other pages."""
    view, *rest = page or [""]
    if view not in FILE_VIEWS:
        return []
    return rest[2:] if rest[:1] == ["refs"] and rest[1:2] in (["heads"], ["tags"]) else rest


def ref_shown(page: Sequence[str]) -> str:
    """Return the ref of a page that is about one commit, release, pull request or merge request; empty for pages about the whole repository.

    Raises:
        Refused: it is about two commits, or it is unknown which one is meant.
    """
    view, *rest = page or [""]
    if view == "compare":
        raise Refused("The address is that of a comparison, which has no one commit that could be used.", _HINT)
    if view == "commit" and rest:
        return _without_form(rest[0])
    if view in _REVIEWS and rest and (number := _without_form(rest[0])).isascii() and number.isdigit():
        is_commit = rest[1:2] == ["commits"] and len(rest) > 2 and SHA.match(rest[2].lower())
        return rest[2] if is_commit else _REVIEWS[view].format(number)
    if view in {"releases", "tags"} and rest and rest[0] not in {"edit", "latest", "new"}:
        return _release(rest)
    if view in _ARCHIVE_VIEWS and rest:
        return _archive(rest)
    if not view or (view in _WHOLE and rest[:1] != ["latest"]):
        return ""
    raise Refused("The address is that of a page which does not say which branch, tag or commit is meant.", _HINT)


def _without_form(name: str) -> str:
    """Return a commit's or a proposal's name without the ending of the form in which it is shown."""
    return name.removesuffix(".patch").removesuffix(".diff")


def _release(rest: Sequence[str]) -> str:
    """Return the tag: of ``tag/v1``, ``download/v1/file`` and ``expanded_assets/v1`` (GitHub), of ``v1`` (GitLab)."""
    kind, *tag = rest
    if not tag:
        return kind
    return "/".join(tag[:1] if kind == "download" else tag if kind == "tag" else rest)


def _archive(rest: Sequence[str]) -> str:
    """Return the ref of ``refs/heads/main.zip`` and ``main.zip`` (GitHub), and of ``main/project-main.zip`` (GitLab)."""
    if len(rest) == 2 and rest[0] != "refs":
        return rest[0]
    name = "/".join(rest)
    ending = next((ending for ending in _ARCHIVES if name.endswith(ending)), "")
    return name.removesuffix(ending)
