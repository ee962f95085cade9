"""The account of this machine that a hub which runs as root starts the service as, and with it all builds."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from .misconfigured import Misconfigured


def give_state_to(name: str, state: Path, *, is_elsewhere: bool) -> None:
    """Check that the service can be started as an account, and make its state directory, which is the account's alone.

    Args:
        name: the account's.
        state: the state directory; if it is there already, it has to be the account's.
        is_elsewhere: whether something else than the hub starts the service.

    Raises:
        Misconfigured: the hub does not run as root or does not start the service, there is no such account, it is root's, or the state directory is
            somebody else's or cannot be made.
    """
    if os.geteuid() != 0:
        raise Misconfigured(
            f"service_user is for hubs that run as root; this one does not, and its service runs as the same user: leave out {name!r}."
        )
    if is_elsewhere:
        raise Misconfigured("A service at service_url is started by something else, which decides on its user: leave out service_user.")
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        raise Misconfigured(f"There is no account {name!r} on this machine for service_user: make one, e.g. by useradd --system {name}.") from None
    if account.pw_uid == 0:
        raise Misconfigured(f"The account {name!r} of service_user is root: name one without rights.")
    try:
        owner = _owner_of(_made(state, account))
    except OSError as error:
        raise Misconfigured(f"The state directory {state} cannot be made: {error.strerror}.") from error
    if owner != account.pw_uid:
        raise Misconfigured(f"The state directory {state} does not belong to {name}. Stop the hub, then: chown -R {name} {state}")


def _made(state: Path, account: pwd.struct_passwd) -> Path:
    """Return the directory; if it is not there, it is made and given to the account before anybody else can have put something into it."""
    state.parent.mkdir(parents=True, exist_ok=True)
    try:
        state.mkdir(mode=0o700)
    except FileExistsError:
        return state
    os.chown(state, account.pw_uid, account.pw_gid, follow_symlinks=False)
    return state


def _owner_of(path: Path) -> int:
    return path.stat().st_uid
