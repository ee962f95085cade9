"""ProcessSpawner: servers as plain processes of this machine, from images that are directories. No containers, no isolation."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from jupyterhub.spawner import LocalProcessSpawner
from traitlets import Enum, Unicode, default

from binderhub_service.common.repo_environment import repo_variables, system_user
from binderhub_service.common.server_program import server_command

from ..account import HomeOwner, account_of_user
from ..mixin import RepoSpawner
from ..rejection import Rejection, script_ended
from . import home_tasks, leftover, working_copy
from .as_account import CannotBecome, as_account
from .base import LocalSpawner, end_group
from .home_tasks import NotReady, Wanted
from .homes import Homes
from .system_account import FOLDER, USERNAME, SystemAccount, account_for

NO_WALLS = (
    "Servers of this hub run as one user of this machine, without walls between them: "
    "code of this repository can read and change your other files, and those of others."
)
OWN_WALLS = (
    "Servers from repositories run as your account of this machine: code of this repository can read and change all that is yours here. "
    "What everybody's environments are made of, builds of others can change."
)
PROCESS_FILE = ".server.json"
_SHELL = "/bin/sh"
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
    """Servers from repositories as processes: of the user that runs the hub, for people who may see each other's files, or of other accounts.

    Each server works in a copy of the repository that belongs to one person and server and survives stop and start.
    """

    images_dir = Unicode(help="The directory in which the build service keeps its images.").tag(config=True)
    users_dir = Unicode(help="The directory under which everybody has a home with their copies of repositories.").tag(config=True)

    starts_as = LocalProcessSpawner

    cmd: list[str]
    home_dir: str
    popen_kwargs: dict[str, Any]

    _environment_dir = Unicode()
    _copy_dir = Unicode()
    _import_from: Sequence[str] = ()
    _script = ""
    _said_of_home = ""
    _own_settings: Mapping[str, str] = {}
    _machine_account: SystemAccount | None = None

    system_user = Unicode(
        help="""The account of this machine that servers from repositories run as, where the hub runs as root.

        ``{username}`` in it is the person's name in the hub: then everybody has the account, the home and the groups of that name, and who has
        none starts nothing. Without it, the account is one for all, and homes are in its own. Never root's, nor that of the service.
        `configure()` sets it. Default: the hub's own user. Example: ``{username}``.
        """,
    ).tag(config=True)

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

    def check_person(self) -> None:
        """Raise `Rejection` if there is no account of this machine for the person's servers."""
        self._machine_account = account_for(self.system_user, self.user.name, Path(self.images_dir)) if self.system_user else None

    async def use_image(self, build: Mapping[str, Any]) -> None:
        """Put the person's copy in place and run the image's server in it."""
        self.check_person()
        image, command = await asyncio.to_thread(self._image, build["image"])
        copy = working_copy.copy_of(await self._folder_of_copies(), self.name, build["repo"], build["ref"])
        if self._said_of_home:
            self.tell(self._said_of_home)
            self._said_of_home = ""
        if self._machine_account is None and not os.path.lexists(copy):
            await self.check_new_copy()
        await self._end_leftover(copy.parent)
        wanted = Wanted(self.home_dir, str(copy), str(image.content), image.commit, image.start or "", str(image.environment), self._warning)
        ready = home_tasks.ready_from(await self._at_home("prepare", asdict(wanted)))
        for said in (*ready.said, *image.notes):
            self.tell(said)
        self._import_from = [str(copy / folder) for folder in image.import_from]
        self._environment_dir, self._copy_dir = str(image.environment), str(copy)
        self._script, self._own_settings = ready.script, ready.variables
        self.cmd = [*ready.command, *command]
        self.popen_kwargs = {**self.popen_kwargs, **(self._machine_account.popen_kwargs if self._machine_account else {"cwd": str(copy)})}

    def _image(self, name: str) -> tuple[DirectoryImage, list[str]]:
        image = read_image(Path(self.images_dir), name)
        command = server_command(image.environment)
        if lost := [program for program in (command[0], command[-1]) if not os.access(program, os.X_OK)]:
            sentence = (
                f"No server starts in the environment: there is no {Path(lost[0]).name} in it that can be run. An administrator can remove the image."
            )
            raise Rejection(409, sentence)
        return image, command

    async def _folder_of_copies(self) -> Path:
        """Return the folder of the person's copies, in the home that their servers have from now on."""
        account = self._machine_account
        if account is None:  # asked anew: an administrator may have removed the home
            self.home_dir, self._said_of_home = await self._at_home("home_of", self.users_dir, home_tasks.written(self._account))
            return Path(self.home_dir)
        folder = account.home / FOLDER
        if USERNAME in self.system_user:
            self.home_dir = str(account.home)
            return folder
        self.home_dir, self._said_of_home = await self._at_home("home_of", str(folder), home_tasks.written(self._account))
        return Path(self.home_dir)

    async def _at_home(self, task: str, *arguments: object) -> Any:
        """Return what a task of `home_tasks` does, as the account that the person's servers run as.

        Raises:
            Rejection: it cannot be done, with the reason.
        """
        try:
            if self._machine_account is None:
                return await asyncio.to_thread(home_tasks.TASKS[task], *arguments)
            return await as_account(self._machine_account, task, *arguments)
        except (NotReady, CannotBecome) as error:
            raise Rejection(422, str(error)) from error

    @property
    def _warning(self) -> str:
        return OWN_WALLS if USERNAME in self.system_user else NO_WALLS

    async def _end_leftover(self, copies: Path) -> None:
        """End a server that a hub which was stopped in the middle of a start has left running, so that two never share a copy."""
        if self._machine_account is None:
            group = leftover.group_of(copies / PROCESS_FILE, copies)
            groups = [group] if group else []
        else:
            groups = await asyncio.to_thread(leftover.groups_in, copies, self._machine_account.uid)
        for group in groups:
            self.tell("A server of yours still ran here that a hub had started and forgotten; it is ended first.")
            await end_group(group)

    def process_started(self) -> None:
        """Note the process beside the copy; not in an account's own home, where root writes nothing."""
        if self._machine_account is None:
            leftover.note(Path(self._copy_dir).parent / PROCESS_FILE, self.pid)

    async def delete_forever(self) -> None:
        """Do with the home what `deleted_homes` says, if this is the server that goes only with its account."""
        if self.name or USERNAME in self.system_user:  # an account's own home is the machine's affair
            return
        try:
            self.check_person()
            folder = str(self._machine_account.home / FOLDER) if self._machine_account else self.users_dir
            await self._at_home("give_up", folder, home_tasks.written(self._account), self.deleted_homes)
        except Rejection as rejection:
            self.log.warning("The home of %s stays as it is: %s", self.user.name, rejection.log_message)

    def ended(self, status: int) -> Rejection:
        """Return why the server has ended; a start script is named, whose end it may have been."""
        return script_ended(self._script, status) if self._script else super().ended(status)

    def get_env(self) -> dict[str, str]:
        """Return the server's environment, in which the image's programs come first."""
        env = super().get_env()
        env["PATH"] = os.pathsep.join([f"{self._environment_dir}/bin", env.get("PATH") or os.defpath])
        env["VIRTUAL_ENV"] = self._environment_dir
        # The environment is shared and read-only; what pip installs in a server is this person's, for this copy and environment.
        packages = Path(self._copy_dir).parent / ".packages" / Path(self._environment_dir).name
        env["PIP_TARGET"] = str(packages)
        env["PYTHONPATH"] = os.pathsep.join([str(packages), *self._import_from])
        account = self._machine_account.name if self._machine_account else system_user()
        env.update(repo_variables(Path(self._environment_dir), Path(self._copy_dir), account))
        env.update(self._own_settings)
        env["JUPYTERHUB_ROOT_DIR"] = self._copy_dir
        return env

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        """Return the environment with what says who somebody is on this machine."""
        account = self._machine_account
        env = super().user_env(env)
        return env | ({"USER": account.name, "LOGNAME": account.name, "SHELL": account.shell or _SHELL} if account else {})

    def make_preexec_fn(self, name: str) -> Callable[[], None] | None:
        """Return what the child does once it is the account: enter the copy, which root must not follow; nothing where there is no account."""
        return partial(_enter, self._copy_dir) if self._machine_account else None


def _enter(folder: str) -> None:
    with suppress(OSError):
        os.chdir(folder)
