"""What is done in a person's home before a server starts there: the copy, what a build has left for the home, the start script.

Where a server runs as an account of its own, `as_account` has this done by a process of that account, because root must not follow what
somebody else may have put there. So this imports nothing that takes long, and takes and gives back what JSON can hold.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from binderhub_service.common.repo_environment import IMAGE_HOME, script_problem

from ..account import HomeOwner
from . import image_home, working_copy
from .homes import Homes

_SCRIPT_BYTES = 256


class NotReady(Exception):
    """No server can start in this home; the text is a sentence for the person."""


@dataclass(frozen=True)
class Wanted:
    """What is wanted in a home.

    Attributes:
        home: the home.
        copy: where the copy of the repository is to be.
        content: a checkout of `commit`.
        commit: its full name.
        start: the start script's path in the repository; empty if there is none.
        environment: the folder of the environment that the server runs from.
        warning: what is told with a new copy.
    """

    home: str
    copy: str
    content: str
    commit: str
    start: str
    environment: str
    warning: str


@dataclass(frozen=True)
class Ready:
    """A home in which a server can start.

    Attributes:
        said: what was done, in sentences.
        command: the program that the server's command is given to; empty if there is none.
        script: the start script's path in the copy, if it is run.
        variables: variables about settings in the copy, for the server's environment.
    """

    said: list[str]
    command: list[str]
    script: str
    variables: dict[str, str]


def prepare(wanted: Wanted) -> Ready:
    """Put the copy in place, and what the build has left for the home.

    Raises:
        NotReady: that cannot be, or the environment cannot be run.
    """
    copy, home, environment = Path(wanted.copy), Path(wanted.home), Path(wanted.environment)
    _check_program(environment)
    try:
        said = [] if copy.exists() else [wanted.warning]
        said.append(working_copy.place(Path(wanted.content), wanted.commit, copy))
        with suppress(PermissionError):  # an administrator's, who has put it there
            os.utime(copy, follow_symlinks=False)  # by which copies are found that nobody uses
        if placed := image_home.put_into(home, environment / IMAGE_HOME):
            said.append(f"Files that the build made in its home are in yours now: {placed}.")
        command, script = _start_script(copy, wanted.start, said)
    except OSError as error:
        raise NotReady(f"Your copy of the repository cannot be made in {home}: {error.strerror or 'files could not be copied'}.") from error
    return Ready(said, command, script, _own_settings(copy))


def ready_from(answer: Any) -> Ready:
    """Return what `prepare` has answered from another process, which is the person's.

    Raises:
        NotReady: it is no such answer.
    """
    try:
        variables = {str(name): str(value) for name, value in answer["variables"].items()}
        return Ready([str(line) for line in answer["said"]], [str(word) for word in answer["command"]], str(answer["script"]), variables)
    except (AttributeError, KeyError, TypeError) as error:
        raise NotReady("Your home could not be made ready for a server. Start it again.") from error


def home_of(users_dir: str, account: Mapping[str, str]) -> tuple[str, str]:
    """Return the home of an account of the hub, and what is to be said about it; see `Homes.of`.

    Raises:
        NotReady: it cannot be made.
    """
    try:
        home, said = Homes(Path(users_dir)).of(_owner(account))
    except OSError as error:
        raise NotReady(f"Your home cannot be made in {users_dir}: {error.strerror}. Ask an administrator.") from error
    return str(home), said


def give_up(users_dir: str, account: Mapping[str, str], what: str) -> None:
    """Do with a deleted account's home what was decided; see `Homes.give_up`."""
    Homes(Path(users_dir)).give_up(_owner(account), what)


TASKS: Mapping[str, Callable[..., object]] = {
    "prepare": lambda wanted: asdict(prepare(Wanted(**wanted))),
    "home_of": home_of,
    "give_up": give_up,
}
"""The tasks, with arguments and results as JSON has them."""


def written(account: HomeOwner) -> dict[str, str]:
    """Return an account of the hub as these tasks take it."""
    return {"number": str(account.number), "name": account.name, "created": account.created.isoformat()}


def _owner(written: Mapping[str, str]) -> HomeOwner:
    return HomeOwner(int(written["number"]), written["name"], datetime.fromisoformat(written["created"]))


def _check_program(environment: Path) -> None:
    """Raise `NotReady` unless this account may run the environment's Python, which may lie elsewhere."""
    python = environment / "bin" / "python"
    if python.is_symlink() and not os.access(python, os.X_OK):
        raise NotReady(f"This account of the machine may not run {python.readlink()}, which your server needs. Ask an administrator to let it.")


def _start_script(copy: Path, start: str, said: list[str]) -> tuple[list[str], str]:
    """Return the program of the copy's own start script, if it has one still, and its path in the copy."""
    if not start:
        return [], ""
    script = copy / start
    if not script.is_file() or not script.resolve().is_relative_to(copy.resolve()):
        said.append(f"There is no {start} in your copy any more, so the server starts without it.")
        return [], ""
    with script.open("rb") as opened:
        begins = opened.read(_SCRIPT_BYTES)
    if problem := script_problem(start, begins):
        raise NotReady(" ".join(problem))
    if not (begins.startswith(b"#!") and os.access(script, os.X_OK)):
        return ["bash", str(script)], start
    interpreter = begins[2:].split(maxsplit=1)[:1]
    if not interpreter or not Path(os.fsdecode(interpreter[0])).exists():
        raise NotReady(f"The script {start} names in line 1 a program that is not here. Write #!/bin/bash there.")
    return [str(script)], start


def _own_settings(copy: Path) -> dict[str, str]:
    """Return the variables by which Jupyter and IPython find the settings in a copy's root, where a home's would be on a binder."""
    places = {"JUPYTER_CONFIG_PATH": copy / ".jupyter", "IPYTHONDIR": copy / ".ipython"}
    return {name: str(place) for name, place in places.items() if place.is_dir()}
