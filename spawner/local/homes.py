"""People's homes on this machine: each belongs to one account of the hub, whatever its name is now, and to no later account of that name.

How they are laid out says `binderhub_service.common.homes`.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

from binderhub_service.common.homes import DELETED, NAMES, OWNERS
from binderhub_service.common.private import private_folder

from ..account import HomeOwner
from .working_copy import home_of


class Homes:
    """The homes in one directory; only one hub may use it."""

    def __init__(self, users_dir: Path) -> None:
        self._dir = users_dir

    def of(self, account: HomeOwner) -> tuple[Path, str]:
        """Return the account's home, which need not be there yet, and what is to be said about it, or nothing.

        A home of the layout without owners is the account's if something was done in it since the account was made.
        """
        home, said = self._found(account)
        self._note_name(home, account.name)
        return home, said

    def _found(self, account: HomeOwner) -> tuple[Path, str]:
        usual = home_of(self._dir, account.name)
        if self._owner(usual) == account.key:
            return usual, ""
        if known := self._known(account):
            return known, ""
        if not self._is_anothers(usual, account):
            return self._give(usual, account), ""
        own = usual.with_name(f"{usual.name}.{account.key}")
        return self._give(own, account), account.not_theirs

    def give_up(self, account: HomeOwner, what: str) -> None:
        """Do with a deleted account's home what was decided.

        Args:
            what: ``keep`` it where it is, for nobody; set it ``aside``; or ``remove`` it.
        """
        home = self._known(account)
        if home is None:
            return
        if what == "keep":
            self._note_name(home, "")
            return
        if what == "aside" and home.is_dir():
            home.rename(private_folder(self._dir / DELETED) / f"{home.name}.{datetime.now(UTC):%Y%m%d%H%M%S}")
        else:
            shutil.rmtree(home, ignore_errors=True)
        for records in (NAMES, OWNERS):
            (self._dir / records / home.name).unlink(missing_ok=True)

    def _note_name(self, home: Path, name: str) -> None:
        """Note what the account of a home is called, for who looks after people's files; empty for nobody."""
        record = private_folder(self._dir / NAMES) / home.name
        if not record.exists() or record.read_text(encoding="utf-8") != name:
            record.write_text(name, encoding="utf-8")

    def _record(self, home: Path) -> Path:
        return self._dir / OWNERS / home.name

    def _owner(self, home: Path) -> str | None:
        try:
            return self._record(home).read_text(encoding="ascii")
        except OSError:
            return None

    def _known(self, account: HomeOwner) -> Path | None:
        records = sorted((self._dir / OWNERS).glob("*")) if (self._dir / OWNERS).is_dir() else []
        return next((self._dir / record.name for record in records if self._owner(record) == account.key), None)

    def _is_anothers(self, home: Path, account: HomeOwner) -> bool:
        if self._owner(home) is not None:
            return True
        if not home.is_dir():
            return False
        changed = max(path.lstat().st_ctime for path in (home, *home.iterdir()))
        return datetime.fromtimestamp(changed, UTC) < account.created

    def _give(self, home: Path, account: HomeOwner) -> Path:
        private_folder(self._dir)
        private_folder(self._dir / OWNERS)
        self._record(home).write_text(account.key, encoding="ascii")
        return private_folder(home)
