"""What may be the name of a branch, a tag or a commit."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from .refusal import Refused, is_text

MAX_REF_CHARACTERS = 255
SHA = re.compile(r"^(?:[0-9a-f]{40}|[0-9a-f]{64})$")
SHORT_SHA = re.compile(r"^[0-9a-f]{4,39}$")
_REVIEW = re.compile(r"^(?:refs/)?((?:pull|merge-requests)/[0-9]{1,18}/(?:head|merge))$")
_OF_A_CLONE = re.compile(r"^(?:refs/)?(?:remotes/)?origin/(?=.)")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\x9f~^:?*\[\\]|\.\.|@\{|//|^[-/]|(?:^|/)\.|[/.]$|\.lock(?:/|$)")


def check_ref(ref: str) -> str:
    """Return a ref that git could have (``git check-ref-format``); empty is fine.

    Raises:
        Refused: git could not (``invalid_ref``).
    """
    if len(ref) > MAX_REF_CHARACTERS:
        message = f"The ref is longer than {MAX_REF_CHARACTERS} characters."
        raise Refused(message, "Give the name of a branch or tag, or a commit.", code="invalid_ref")
    if _FORBIDDEN.search(ref) or not is_text(ref) or ref == "@":
        hint = "Give its plain name, e.g. main, or leave it empty for the default branch."
        raise Refused("No branch, tag or commit can have this name.", hint, code="invalid_ref")
    return ref


def full_names(ref: str) -> list[str]:
    """Return the full names that a ref may mean at a Git server, best first; ``^{}`` is an annotated tag's commit.

    A clone calls the server's branch ``main`` ``origin/main``, so that is what it means if there is no branch of this very name.
    """
    names = [ref] if ref.startswith("refs/") else [f"refs/heads/{ref}", f"refs/tags/{ref}", f"refs/{ref}"]
    if _OF_A_CLONE.match(ref):
        names.append(_OF_A_CLONE.sub("refs/heads/", ref))
    return [name for full in names for name in ([full] if full.startswith("refs/heads/") else [f"{full}^{{}}", full])]


def review_ref(ref: str) -> str:
    """Return the full name of a pull request's or merge request's commit, e.g. ``refs/pull/12/head``; empty for other refs."""
    match = _REVIEW.match(ref)
    return f"refs/{match[1]}" if match else ""


def split_ref(parts: Sequence[str], names: Collection[str]) -> tuple[str, str]:
    """Return the ref and the path that the end of a page's address means, e.g. ``feature/x`` and ``a/b.ipynb``.

    The address does not tell where a branch with slashes ends: the longest name that is there wins. If none is, it is the first part.

    Args:
        parts: the parts between slashes, without percent-escapes.
        names: the short names of all branches and tags, e.g. ``feature/x``.
    """
    for count in range(len(parts), 0, -1):
        if "/".join(parts[:count]) in names:
            return "/".join(parts[:count]), "/".join(parts[count:])
    return "/".join(parts[:1]), "/".join(parts[1:])
