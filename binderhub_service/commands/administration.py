"""What an administrator does with the service's state on its machine: back it up, put it back, go back to a former schema, move it."""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..app import BinderService
from ..errors import BinderError, Conflict, Unavailable
from ..process.state_lock import StateLock, state_errors_converted
from ..store import backup
from ..working_copies import processes_in

_STOP_FIRST = "Stop the hub, or whatever starts the service, then try again."


def run(command: str, given: Sequence[str], settings_of: Callable[[list[str]], BinderService]) -> int:
    """Run a command of `COMMANDS`, print what came of it, and return the exit status: 1 where it could not be done.

    Args:
        given: its arguments; what it does not know is the service's.
        settings_of: reads the service's settings.
    """
    what, argument, help_text = COMMANDS[command]
    parser = argparse.ArgumentParser(prog=f"binderhub-service {command}", description=what.__doc__, allow_abbrev=False)
    add_argument(parser, argument.strip("[]"), argument, help_text)
    known, of_service = parser.parse_known_args(given)
    settings = settings_of(of_service)
    try:
        asyncio.run(settings.check_settings())
        sys.stdout.write(f"{what(settings, vars(known)[argument.strip('[]')])}\n")
    except BinderError as error:
        sys.stderr.write(f"{error.message} {error.hint or ''}".rstrip() + "\n")
        return 1
    return 0


def back_up(settings: BinderService, file: str) -> str:
    """Write the database into a file, also while the service runs."""
    target = Path(file).absolute()
    schema = backup.back_up(settings.database, target)
    return f"The database, of schema {schema}, is in {target}."


def restore(settings: BinderService, file: str) -> str:
    """Replace the database by a backup, from whichever kind of database that is; the service must not run."""
    asyncio.run(settings.make_state_private())
    with alone(settings):
        backup.put_back(Path(file).absolute(), settings.database)
    return "The database is that of the backup. The service brings it to its own schema when it starts."


def downgrade(settings: BinderService, schema: str) -> str:
    """Bring the database back to a former schema, for an older version; a backup is made first, and the service must not run."""
    with alone(settings):
        kept = settings.state / "database.before-downgrade"
        former = backup.back_up(settings.database, kept)
        schema = backup.downgrade(settings.database, schema)
    return f"The database has schema {schema}; with {former}, as it was, it is in {kept}. Install the older version before the service starts again."


def move(settings: BinderService, directory: str) -> str:
    """Move the state directory, e.g. to another disk; a link stays in its place. Neither the service nor builds nor servers may run from it."""
    old, new = settings.state, Path(directory).absolute()
    if new.exists() or old.is_symlink() or new.is_relative_to(old):
        raise Conflict(f"{old} cannot be moved to {new}: name a directory that does not exist yet, and a state that is no link.")
    with alone(settings), state_errors_converted(new):
        if users := processes_in(old):
            raise Conflict(f"Builds or servers run from {old}: processes {', '.join(map(str, users))}.", hint="Stop them first.")
        part = new.with_name(f"{new.name}.part")
        command = ["cp", "--archive", "--no-target-directory", str(old), str(part)]  # it keeps owners, links and files that are linked to each other
        copied = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603  # a list, no shell
        if copied.returncode:
            raise Unavailable(f"{old} could not be copied to {part}, and stays: {copied.stderr.strip().partition(chr(10))[0]}")
        part.rename(new)
        former = old.with_name(f"{old.name}.moved")
        old.rename(former)
        old.symlink_to(new, target_is_directory=True)
    return f"The state is in {new}, and {old} leads there: environments hold that path. What was there is in {former}; remove it when all is well."


COMMANDS: dict[str, tuple[Callable[[BinderService, str], str], str, str]] = {
    "backup": (back_up, "file", "the file to write, in place of any other"),
    "restore": (restore, "file", "a file that the command backup has written, or a copy that an upgrade has kept"),
    "downgrade": (downgrade, "[schema]", "the number of a schema, e.g. 0011; by default the one before"),
    "move": (move, "directory", "the new directory, which must not exist"),
}


def add_argument(parser: argparse.ArgumentParser, name: str, argument: str, help_text: str | None = None) -> None:
    """Let a command take an argument, which is not empty if the command needs it: a variable of a shell may never have been set.

    Args:
        name: what it is called in the result.
        argument: what people read; in brackets if it can be left out.
    """
    if argument.startswith("["):
        parser.add_argument(name, metavar=argument.strip("[]"), nargs="?", default="", help=help_text)
    else:
        parser.add_argument(name, metavar=argument, type=_not_empty, help=help_text)


def _not_empty(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty")
    return text


@contextmanager
def alone(settings: BinderService) -> Iterator[None]:
    """Keep every service from this state meanwhile.

    Raises:
        Conflict: one runs.
        Unavailable: there is no such state, or it is not this user's.
    """
    locks = [StateLock(file) for file in settings.lock_files(backup.file_of(settings.database))]
    try:
        for lock in locks:
            asyncio.run(_take(lock, settings.state))
        yield
    finally:
        for lock in locks:
            lock.release()


async def _take(lock: StateLock, state: Path) -> None:
    try:
        await lock.take()
    except Unavailable as error:
        if isinstance(error.__cause__, BlockingIOError):
            raise Conflict(f"A service runs with {state}.", hint=_STOP_FIRST) from error
        raise
