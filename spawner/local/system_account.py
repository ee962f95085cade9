"""The account of this machine that a person's servers run as, where the hub is root."""

from __future__ import annotations

import os
import pwd
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..rejection import Rejection

USERNAME = "{username}"
"""What stands in a template of accounts for the name that a person has in the hub."""
_LOGIN_DEFS = Path("/etc/login.defs")
_UID_MIN = re.compile(r"^[ \t]{0,99}UID_MIN[ \t]{1,99}(\d{1,9})", re.MULTILINE)
_USUAL_UID_MIN = 1000
FOLDER = "binder"
"""The folder in an account's home in which copies of repositories are."""


@dataclass(frozen=True)
class SystemAccount:
    """An account of this machine, which is not root's.

    Attributes:
        groups: all groups that it is in.
        home: its home folder, which need not be there.
        shell: its shell; empty if it has none.
    """

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: Path
    shell: str

    @property
    def popen_kwargs(self) -> dict[str, Any]:
        """The arguments of ``Popen`` by which a process is the account's before it enters a folder or runs a program."""
        return {"user": self.uid, "group": self.gid, "extra_groups": list(self.groups), "cwd": "/"}


def account_for(template: str, person: str, images_dir: Path) -> SystemAccount:
    """Return the account that a person's servers run as.

    Args:
        template: the account's name, with ``{username}`` for the person's.
        person: the name in the hub.
        images_dir: the folder of images, whose owner makes what everybody runs.

    Raises:
        Rejection: there is no such account, this hub cannot become it, or it is root's, a daemon's, or that of who makes the images.
    """
    name = template.replace(USERNAME, person)
    try:
        found = pwd.getpwnam(name)
    except (KeyError, ValueError):
        raise Rejection(
            403,
            f"Servers from repositories run as an account of this machine here, and there is none named {name!r}: ask an administrator to make one.",
        ) from None
    if found.pw_uid == 0:
        raise Rejection(403, f"Servers from repositories run as an account of this machine here, and never as {name!r}, which is root.")
    if USERNAME in template and found.pw_uid < _first_uid_of_people():
        raise Rejection(403, f"The account {name!r} of this machine is a program's and not a person's, so no server runs as it.")
    if found.pw_uid == _owner_of(images_dir):
        raise Rejection(403, f"The account {name!r} of this machine makes what everybody's servers run from, so no server runs as it.")
    if os.geteuid() != 0:
        raise Rejection(403, f"This hub does not run as root, so it cannot start servers as {name!r}: ask an administrator to leave out system_user.")
    groups = tuple(os.getgrouplist(name, found.pw_gid))
    return SystemAccount(found.pw_name, found.pw_uid, found.pw_gid, groups, Path(found.pw_dir or "/"), found.pw_shell)


def _first_uid_of_people() -> int:
    """Return where this machine's accounts of people begin (login.defs(5)); below are those of daemons, whose names anybody may have in a hub."""
    try:
        found = _UID_MIN.search(_LOGIN_DEFS.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        found = None
    return int(found[1]) if found else _USUAL_UID_MIN


def _owner_of(folder: Path) -> int | None:
    try:
        return folder.stat().st_uid
    except OSError:
        return None
