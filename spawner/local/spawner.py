"""ProcessSpawner: servers as plain processes of this machine, from images that are directories. No containers, no isolation."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyterhub.spawner import LocalProcessSpawner
from traitlets import Enum, Unicode, default

from binderhub_service.common.repo_environment import IMAGE_HOME, repo_variables, script_problem, system_user
from binderhub_service.common.server_program import server_command

from ..account import HomeOwner, account_of_user
from ..mixin import RepoSpawner
from ..rejection import Rejection, script_ended
from . import image_home, leftover, working_copy
from .base import LocalSpawner, end_group
from .homes import Homes

NO_WALLS = (
    "Servers of this hub run as one user of this machine, without walls between them: "
    "code of this repository can read and change your other files, and those of others."
)
PROCESS_FILE = ".server.json"
_IMAGE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class DirectoryImage:
    """An image as its manifest describes it.

    Attributes:
        content: the checkout.
        start: a start script in it, or None.
        import_from: folders of the checkout that the environment imports from.
        notes: sentences about what the repository says and the image does not honour.
    """

    environment: Path
    content: Path
    commit: str
    start: str | None
    import_from: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_image(images_dir: Path, name: str) -> DirectoryImage:
    """Return the image called `name`.

    Raises:
        Rejection: there is none.
    """
    try:
        if not _IMAGE_NAME.fullmatch(name):
            raise FileNotFoundError(name)
        manifest = json.loads((images_dir / name / "image.json").read_text(encoding="utf-8"))
        return DirectoryImage(
            Path(manifest["environment"]),
            Path(manifest["content"]),
            str(manifest["commit"]),
            manifest.get("start"),
            tuple(manifest.get("import_from") or ()),
            tuple(map(str, manifest.get("notes") or ())),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Rejection(409, "The image is not on this machine any more. Start the server again, and it will be made anew.") from error


class ProcessSpawner(RepoSpawner, LocalSpawner):
    """Servers from repositories as processes of the user that runs the hub; for people who may see each other's files.

    Each server works in a copy of the repository that belongs to one person and server and survives stop and start.
    """

    images_dir = Unicode(help="The directory in which the build service keeps its images.").tag(config=True)
    users_dir = Unicode(help="The directory under which everybody has a home with their copies of repositories.").tag(config=True)

    starts_as = LocalProcessSpawner

    cmd: list[str]
    popen_kwargs: dict[str, Any]

    _environment_dir = Unicode()
    _copy_dir = Unicode()
    _import_from: Sequence[str] = ()
    _script = ""
    _said_of_home = ""

    deleted_homes = Enum(
        ("keep", "aside", "remove"),
        default_value="keep",
        help="""What becomes of a person's home when their account is deleted.

        A later account of the same name never gets it. ``keep`` leaves it where it is, ``aside`` moves it to ``.deleted`` in `users_dir`,
        ``remove`` deletes all files. Default: ``keep``. Example: ``remove``.
        """,
    ).tag(config=True)

    @default("home_dir")
    def _home_in_users_dir(self) -> str:
        home, self._said_of_home = self._homes.of(self._account)
        return str(home)

    @property
    def _homes(self) -> Homes:
        return Homes(Path(self.users_dir))

    @property
    def _account(self) -> HomeOwner:
        return account_of_user(self.user)

    @default("interrupt_timeout")
    def _seconds_for_a_goodbye(self) -> int:
        return 10

    @default("term_timeout")
    def _seconds_for_a_second_one(self) -> int:
        return 5

    @default("env_keep")
    def _neutral_variables(self) -> list[str]:
        """Keep what any program needs; the hub's own Python must not show through in somebody's environment."""
        return ["JUPYTERHUB_SINGLEUSER_APP", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TZ"]

    async def use_image(self, build: Mapping[str, Any]) -> None:
        """Put the person's copy in place and run the image's server in it."""
        image = read_image(Path(self.images_dir), build["image"])
        copy = working_copy.copy_of(Path(self.home_dir), self.name, build["repo"], build["ref"])
        if self._said_of_home:
            self.tell(self._said_of_home)
            self._said_of_home = ""
        if not copy.exists():
            self.tell(NO_WALLS)
        await self._end_leftover(copy.parent)
        self.tell(await asyncio.to_thread(working_copy.place, image.content, image.commit, copy))
        for note in image.notes:
            self.tell(note)
        if placed := await asyncio.to_thread(image_home.put_into, Path(self.home_dir), image.environment / IMAGE_HOME):
            self.tell(f"Files that the build made in its home are in yours now: {placed}.")
        self._import_from = [str(copy / folder) for folder in image.import_from]
        self._environment_dir = str(image.environment)
        self._copy_dir = str(copy)
        self.cmd = [*self._start_script(copy, image.start), *server_command(image.environment)]
        self.popen_kwargs = {**self.popen_kwargs, "cwd": str(copy)}

    async def _end_leftover(self, copies: Path) -> None:
        """End a server that a hub which was stopped in the middle of a start has left running, so that two never share a copy."""
        group = leftover.group_of(copies / PROCESS_FILE, copies)
        if group:
            self.tell("A server of yours still ran here that a hub had started and forgotten; it is ended first.")
            await end_group(group)

    def process_started(self) -> None:
        """Note the process beside the copy."""
        leftover.note(Path(self._copy_dir).parent / PROCESS_FILE, self.pid)

    async def delete_forever(self) -> None:
        """Do with the home what `deleted_homes` says, if this is the server that goes only with its account."""
        if not self.name:
            await asyncio.to_thread(self._homes.give_up, self._account, self.deleted_homes)

    def _start_script(self, copy: Path, start: str | None) -> list[str]:
        """Return the command that the server's command is given to: the copy's own start script, if it has one still."""
        self._script = ""
        if not start:
            return []
        script = copy / start
        if not script.is_file() or not script.resolve().is_relative_to(copy.resolve()):
            self.tell(f"There is no {start} in your copy any more, so the server starts without it.")
            return []
        self._script = start
        with script.open("rb") as opened:
            begins = opened.read(256)
        if problem := script_problem(start, begins):
            raise Rejection(422, " ".join(problem))
        if not (begins.startswith(b"#!") and os.access(script, os.X_OK)):
            return ["bash", str(script)]
        interpreter = begins[2:].split(maxsplit=1)[:1]
        if not interpreter or not Path(os.fsdecode(interpreter[0])).exists():
            raise Rejection(422, f"The script {start} names in line 1 a program that is not here. Write #!/bin/bash there.")
        return [str(script)]

    def ended(self, status: int) -> Rejection:
        """Return why the server has ended; a start script that ends well has not become the server."""
        return script_ended(self._script) if self._script and not status else super().ended(status)

    def get_env(self) -> dict[str, str]:
        """Return the server's environment, in which the image's programs come first."""
        env = super().get_env()
        env["PATH"] = os.pathsep.join([f"{self._environment_dir}/bin", env.get("PATH") or os.defpath])
        env["VIRTUAL_ENV"] = self._environment_dir
        # The environment is shared and read-only; what pip installs in a server is this person's, for this copy and environment.
        packages = Path(self._copy_dir).parent / ".packages" / Path(self._environment_dir).name
        env["PIP_TARGET"] = str(packages)
        env["PYTHONPATH"] = os.pathsep.join([str(packages), *self._import_from])
        env.update(repo_variables(Path(self._environment_dir), Path(self._copy_dir), system_user()))
        env.update(_own_settings(Path(self._copy_dir)))
        env["JUPYTERHUB_ROOT_DIR"] = self._copy_dir
        return env

    def make_preexec_fn(self, name: str) -> None:
        """Return nothing to do in the child: it would leave the copy for the home directory."""


def _own_settings(copy: Path) -> dict[str, str]:
    """Return the variables by which Jupyter and IPython find the settings in a copy's root, where a home's would be on a binder."""
    places = {"JUPYTER_CONFIG_PATH": copy / ".jupyter", "IPYTHONDIR": copy / ".ipython"}
    return {name: str(place) for name, place in places.items() if place.is_dir()}
