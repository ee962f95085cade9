"""Who may do what with builds; pure."""

from __future__ import annotations

from collections.abc import Collection

from ..errors import NotAllowed
from ..models import Build, Caller

BUILD_SCOPE = "custom:binder:build"
READ_SCOPE = "custom:binder:read"
CANCEL_SCOPE = "custom:binder:cancel"


def may_build(caller: Caller) -> bool:
    """Say whether the caller may ask for builds (scope ``custom:binder:build``, or an admin)."""
    return caller.admin or BUILD_SCOPE in caller.scopes


def check_may_build(caller: Caller) -> None:
    """Raise `NotAllowed` unless the caller may ask for builds."""
    if not may_build(caller):
        raise NotAllowed("You may not ask for builds.", hint=f"Ask an administrator of the hub for the scope {BUILD_SCOPE}.")


def may_read_all(caller: Caller) -> bool:
    """Say whether the caller may read everybody's builds (scope ``custom:binder:read``, or an admin)."""
    return caller.admin or READ_SCOPE in caller.scopes


def may_read(caller: Caller, requesters: Collection[str]) -> bool:
    """Say whether the caller may read a build that the accounts of these keys asked for; its requesters may."""
    return may_read_all(caller) or caller.account.key in requesters


def may_cancel_all(caller: Caller) -> bool:
    """Say whether the caller may end everybody's builds for everybody (scope ``custom:binder:cancel``, or an admin)."""
    return caller.admin or CANCEL_SCOPE in caller.scopes


def owns(caller: Caller, build: Build, requesters: Collection[str]) -> bool:
    """Say whether the caller asked for the build first, and so may end it for everybody.

    Who has the owner's name only now is not the owner, even if they have asked for it since.

    Args:
        requesters: the keys of the accounts that asked for it.
    """
    is_older = caller.created is None or caller.created <= build.created
    return caller.name == build.owner and is_older and caller.account.key in requesters
