"""People's files in the state directory, in embedded mode: their homes, and the working copies of repositories in them."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex

import escapism
import psutil

from .common.homes import DELETED, NAMES, OWNERS, PEOPLE
from .common.private import private_folder
from .common.redact import redact
from .errors import Conflict, NotFound
from .images.trees import remove_tree
from .models import Account, now
from .process.state_lock import state_errors_converted

_REMOVED = ".removed"
_GIT_SECONDS = 10
_MADE_BY_SPAWNER = re.compile(r"[A-Za-z0-9-][A-Za-z0-9._-]*")
_SECONDS, _SECONDS_DIGITS = "%Y%m%d%H%M%S", 14
_STOP_FIRST = "Stop the person's servers first, on the hub's admin page."


@dataclass(frozen=True)
class StoredCopy:
    """A working copy, or a home.

    Attributes:
        name: its path below the folder of all homes: ``HOME/SERVER/COPY`` for a copy, ``HOME`` for a home, ``.deleted/HOME.TIME`` for a home that was
            set aside.
        person: what its account was called at its last start; empty if the account is deleted.
        repo: the address of the repository, without credentials; empty for a home, and for a copy that has lost it.
        bytes: what it takes on the disk; a home's with all copies in it.
        last_used: when a server was last started in it or a file in it was last changed.
        running: whether a process of a server works there.
    """

    name: str
    person: str
    repo: str
    bytes: int
    last_used: datetime
    running: bool


@dataclass(frozen=True)
class _Measured:
    """A home as it was measured: whose, by their name and the time at which their account was made, and what it took."""

    person: str
    account_made: str
    bytes: int


class WorkingCopies:
    """All homes below a state directory. Methods look at every file, so they take long; none of them follows links.

    Args:
        state: the state directory.
    """

    def __init__(self, state: Path) -> None:
        self._folder = (state / PEOPLE).resolve()  # where processes are said to work
        self._measured: dict[str, _Measured] = {}

    @property
    def bytes(self) -> int:
        """What all homes took together when `measure` was called last, without what was removed since."""
        return sum(home.bytes for home in self._measured.values())

    def bytes_of(self, account: Account) -> int:
        """Return what the homes of an account took when `measure` was called last, in bytes; 0 if it was not."""
        made = f"{account.created.astimezone(UTC):{_SECONDS}}" if account.created else ""
        named = [home for home in self._measured.values() if home.person == account.name]
        return sum(home.bytes for home in named if not (made and home.account_made) or home.account_made == made)  # else it is a former account's

    def all(self, person: str = "") -> list[StoredCopy]:
        """Return homes, each followed by its copies, by name.

        Args:
            person: whose alone; everybody's if empty.
        """
        running = {place for places in processes_in(self._folder).values() for place in places}
        found: list[StoredCopy] = []
        for home in self._homes():
            if not person or person == self._person(home):
                found.extend(self._in_home(home, running))
        return found

    def measure(self) -> int:
        """Look at all files, remember what they take, in bytes, and return it; what an earlier removal has left is removed."""
        remove_tree(self._folder / _REMOVED)
        self._measured = {self._name(home): self._measure(home) for home in self._homes()}
        return self.bytes

    def unused(self, seconds: float) -> list[str]:
        """Return the names of the copies in which no server was started and nothing was changed for so long."""
        before = now() - timedelta(seconds=seconds)
        return [copy.name for copy in self.all() if "/" in copy.name and not copy.running and copy.last_used < before]

    def remove(self, name: str) -> None:
        """Remove a copy, or a home with all that is in it.

        Raises:
            NotFound: there is no such copy or home.
            Conflict: a process works there.
            Unavailable: it cannot be removed.
        """
        path = next((path for home in self._homes() for path in (home, *_copies_in(home)) if self._name(path) == name), None)
        if path is None:
            raise NotFound("There is no working copy and no home of this name.", code="copy_not_found", hint="List what there is.")
        if processes_in(path):
            raise Conflict(f"A server runs in {name}.", code="copy_in_use", hint=_STOP_FIRST)
        with state_errors_converted(path):
            aside = private_folder(self._folder / _REMOVED) / token_hex(8)
            path.rename(aside)
            if path.parent == self._folder:
                for records in (NAMES, OWNERS):
                    (self._folder / records / name).unlink(missing_ok=True)
        remove_tree(aside)
        self._measure_again(path)

    def _measure_again(self, removed: Path) -> None:
        """Measure the home that something was removed from, if it was measured before; a home that is gone is forgotten."""
        home = next(home for home in (removed, *removed.parents) if home.parent in {self._folder, self._folder / DELETED})
        name = self._name(home)
        if name in self._measured:
            others = {other: measured for other, measured in self._measured.items() if other != name}
            self._measured = others | ({name: self._measure(home)} if home.is_dir() else {})

    def _measure(self, home: Path) -> _Measured:
        return _Measured(self._person(home), self._account_made(home), _measured(home)[0])

    def _account_made(self, home: Path) -> str:
        """Return when the account of a home was made, to the second, as `HomeOwner.key` of the spawner begins; empty if nobody noted it."""
        try:
            return (self._folder / OWNERS / home.name).read_text(encoding="ascii")[:_SECONDS_DIGITS]
        except (OSError, ValueError):
            return ""

    def _homes(self) -> Iterator[Path]:
        yield from _folders_in(self._folder)
        yield from _folders_in(self._folder / DELETED)

    def _in_home(self, home: Path, running: Collection[Path]) -> Iterator[StoredCopy]:
        copies = _copies_in(home)
        measured = {copy: _measured(copy) for copy in copies}
        size, last = _measured(home, leave_out={str(copy) for copy in copies})
        measured[home] = sum((size for size, _ in measured.values()), size), max((last, *(last for _, last in measured.values())))
        for path in (home, *copies):
            size, last = measured[path]
            yield StoredCopy(
                name=self._name(path),
                person=self._person(home),
                repo="" if path == home else _repository_of(path),
                bytes=size,
                last_used=datetime.fromtimestamp(last, UTC),
                running=any(place.is_relative_to(path) for place in running),
            )

    def _name(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()

    def _person(self, home: Path) -> str:
        if home.parent.name == DELETED:
            return ""
        try:
            return (self._folder / NAMES / home.name).read_text(encoding="utf-8")
        except (OSError, ValueError):  # no server has started there since names are noted
            return _unescaped(home.name.partition(".")[0])


def processes_in(folder: Path) -> Mapping[int, list[Path]]:
    """Return the processes that work in a folder or run programs of it, as far as this user may see, each with the places.

    Args:
        folder: its real path.
    """
    found = {}
    for process in psutil.process_iter():
        places = [place for word in _words_of(process) if word.startswith("/") and (place := Path(word)).is_relative_to(folder)]
        if places and process.pid != os.getpid():
            found[process.pid] = places
    return found


def _words_of(process: psutil.Process) -> list[str]:
    """Return the folder that a process works in and the words of its command, as far as there is one and this user may see it."""
    words: list[str] = []
    with suppress(psutil.Error, OSError):  # it ends just now, or is somebody else's
        words.append(process.cwd())
    with suppress(psutil.Error, OSError):
        words += process.cmdline()
    return words


def _copies_in(home: Path) -> list[Path]:
    return [copy for server in _folders_in(home) for copy in _folders_in(server) if (copy / ".git").is_dir()]


def _folders_in(folder: Path) -> list[Path]:
    """Return the folders in a folder whose names are as the spawner gives them, sorted; links are left out."""
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False) and _MADE_BY_SPAWNER.fullmatch(entry.name))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def _measured(folder: Path, leave_out: Collection[str] = ()) -> tuple[int, float]:
    """Return what a folder takes, in bytes, and when something in it was last changed; what is gone meanwhile takes nothing."""
    size, last = 0, 0.0
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if f"{place}/{name}" not in leave_out]
        for name in (".", *files):
            try:
                found = os.lstat(f"{place}/{name}")
            except OSError:
                continue
            size, last = size + found.st_blocks * 512, max(last, found.st_mtime)
    return size, min(last, now().timestamp())


def _repository_of(copy: Path) -> str:
    """Return what the copy's own settings of git say, which its person may have changed, without credentials; empty if they do not say it."""
    command = ["git", "config", "--no-includes", "--file", str(copy / ".git" / "config"), "--get", "remote.origin.url"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_GIT_SECONDS, check=True)  # noqa: S603  # a list, no shell
    except (OSError, subprocess.SubprocessError):
        return ""
    return redact(done.stdout.decode(errors="replace").strip())


def _unescaped(name: str) -> str:
    try:
        return str(escapism.unescape(name, escape_char="-"))
    except ValueError:
        return name
