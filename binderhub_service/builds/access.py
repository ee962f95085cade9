"""Who may do what with builds; pure."""

from __future__ import annotations

from collections.abc import Collection

from ..errors import NotAllowed
from ..models import Build, Caller

BUILD_SCOPE = "custom:binder:build"
READ_SCOPE = "custom:binder:read"
CANCEL_SCOPE = "custom:binder:cancel"


def check_may_build(caller: Caller) -> None:
    """Raise `NotAllowed` unless the caller may ask for builds (scope ``custom:binder:build``, or an admin)."""
    if not (caller.admin or BUILD_SCOPE in caller.scopes):
        raise NotAllowed("You may not ask for builds.", hint=f"Ask an administrator of the hub for the scope {BUILD_SCOPE}.")


def may_read_all(caller: Caller) -> bool:
    """Say whether the caller may read everybody's builds (scope ``custom:binder:read``, or an admin)."""
    return caller.admin or READ_SCOPE in caller.scopes


def may_read(caller: Caller, requesters: Collection[str]) -> bool:
    """Say whether the caller may read a build that `requesters` asked for; its requesters may."""
    return may_read_all(caller) or caller.name in requesters


def may_cancel_for_all(caller: Caller, build: Build) -> bool:
    """Say whether the caller may end the build for everybody: its owner, scope ``custom:binder:cancel``, or an admin."""
    return caller.admin or CANCEL_SCOPE in caller.scopes or caller.name == build.owner
