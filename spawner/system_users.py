"""The accounts of this machine that a hub which runs as root starts the service as, with all builds, and servers of embedded mode."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from .local.system_account import USERNAME
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
    account = _without_rights(name, "service_user")
    try:
        owner = _owner_of(_made(state, account))
    except OSError as error:
        raise Misconfigured(f"The state directory {state} cannot be made: {error.strerror}.") from error
    if owner != account.pw_uid:
        raise Misconfigured(f"The state directory {state} does not belong to {name}. Stop the hub, then: chown -R {name} {state}")


def user_of_servers(given: str, service_user: str, *, mode: str, as_root: bool, public: bool) -> str:
    """Return `ProcessSpawner.system_user`: whose account servers run as; empty for the hub's own user.

    Args:
        given: what `configure` was given as `server_user`.
        service_user: the account that makes the images.
        public: whether people are temporary users of the hub, which no machine knows.

    Raises:
        Misconfigured: there is no such account, or none can be meant here.
    """
    if mode != "embedded" or os.geteuid() != 0:
        if given:
            raise Misconfigured(f"server_user is for embedded mode in a hub that runs as root: leave out {given!r}.")
        return ""
    if not given and as_root:
        return ""
    if public and USERNAME in (given or USERNAME):
        raise Misconfigured("People of a public hub have no accounts of this machine: name one for all their servers in server_user.")
    if given and USERNAME not in given:
        _without_rights(given, "server_user")
        if given == service_user:
            raise Misconfigured(f"The account {given!r} is the service's, which makes what everybody runs: name another one in server_user.")
    return given or USERNAME


def _without_rights(name: str, argument: str) -> pwd.struct_passwd:
    """Return the account of a name; raises `Misconfigured` if there is none or it is root's."""
    try:
        account = pwd.getpwnam(name)
    except (KeyError, ValueError):
        raise Misconfigured(f"There is no account {name!r} on this machine for {argument}: make one, e.g. by useradd --system {name}.") from None
    if account.pw_uid == 0:
        raise Misconfigured(f"The account {name!r} of {argument} is root: name one without rights.")
    return account


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
