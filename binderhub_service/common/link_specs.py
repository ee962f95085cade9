"""What a link names; of the text behind ``/v2/<provider>/`` also where a page has escaped it twice or not at all; pure.

Links of the second kind are in the wild: a page that escapes a link once more as a whole, and pages of books that escape an address's colon only.
BinderHub understands neither, and nothing else can be meant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

_ESCAPED = re.compile(r"(?:https?|ssh|git)%(?:25){0,3}3a", re.IGNORECASE)
_BEGINS = re.compile(r"(?:(?:https?|ssh|git)(?::|%(?:25){0,3}3a)|git@)", re.IGNORECASE)
_HOST_OWNER_NAME_REF = 4
# Where a repository has an owner and a name, and nothing more.
_OWNER_AND_NAME = frozenset({"github.com", "www.github.com", "codeberg.org", "gitea.com", "bitbucket.org", "gitee.com"})
_GROUP_NAME_REF = 3


@dataclass(frozen=True)
class Linked:
    """What a link names: the address of a repository or of its page, a ref (empty for the default branch) and what is opened."""

    repo: str
    ref: str = ""
    path: str = ""


def begins_as_address(spec: str) -> bool:
    """Say whether a spec begins as an address does, however it is escaped."""
    return bool(_BEGINS.match(spec))


def unescaped(text: str) -> str:
    """Return an address without its percent-escapes, however often it was escaped as a whole; of other text, without one layer of them."""
    plain = unquote(text)
    while _ESCAPED.match(plain):
        plain = unquote(plain)
    return plain


def address_and_ref(spec: str) -> tuple[str, str]:
    """Return the address and the ref, with its escapes, of ``<address>/<ref>``.

    Where the slashes of an address are not escaped, it ends with ``.git`` or, at forges where it has two parts, behind them; else the ref is what
    stands behind the last slash.
    """
    first, _, ref = spec.partition("/")
    address = unescaped(first)
    if not address.endswith(":"):
        return address, ref
    parts = [part for part in ref.split("/") if part]
    end = next((place for place, part in enumerate(parts, 1) if part.endswith(".git")), 0)
    if not end and len(parts) >= _HOST_OWNER_NAME_REF - 1 and parts[0].lower() in _OWNER_AND_NAME:
        end = _HOST_OWNER_NAME_REF - 1
    if not end and len(parts) >= _HOST_OWNER_NAME_REF:
        end = len(parts) - 1
    return (f"{address}//{unquote('/'.join(parts[:end]))}", "/".join(parts[end:])) if end else (address, ref)


def project_and_ref(spec: str) -> tuple[str, str]:
    """Return the path of a project and the ref, with its escapes, of ``<group/project>/<ref>``; a project is in a group at least."""
    first, _, ref = spec.partition("/")
    project = unquote(first)
    if "/" not in project:
        project = unquote(project)
    parts = [part for part in spec.split("/") if part]
    if "/" not in project and len(parts) >= _GROUP_NAME_REF:
        return unquote("/".join(parts[:-1])), parts[-1]
    return project, ref
