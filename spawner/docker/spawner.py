"""DockerRepoSpawner: servers as containers, from images that the service has made of repositories."""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path, PurePosixPath
from typing import Any

from dockerspawner import DockerSpawner
from traitlets import Dict, Enum, Instance, Unicode
from traitlets import List as ListTrait

from .. import start
from ..account import HomeOwner, account_of_user
from ..choices import Choices, Offered
from ..local import working_copy
from ..mixin import RepoSpawner
from ..rejection import Rejection
from .base import ContainerSpawner, engine_problems
from .home_volumes import HomeVolumes

# How many lines of a new container's log are looked through; a server says much while it starts.
START_LINES = 500
COPY_PERCENT = 95


class DockerRepoSpawner(RepoSpawner, ContainerSpawner):
    """Servers from repositories as containers of one engine.

    With a home that stays, everybody works in copies of the repositories in it, which survive their servers: the image's
    own content stays where the image has it, so that nothing is hidden.
    """

    home_volume = Unicode(
        "{prefix}-home-{username}",
        help="""The volume that is a person's home in all their servers, or a directory of the engine's machine.

        A copy of the repository is put into it when a server first starts and is never overwritten; it follows the
        repository while it is untouched. The names that may be in braces are those of `name_template`. Empty: servers work
        in the image's own content, and all changes are gone when the server stops.
        """,
    ).tag(config=True)
    home_dir = Unicode(
        "/home/person",
        help="Where the home is in the containers. Not where images have their own content, which the home would hide.",
    ).tag(config=True)
    deleted_homes = Enum(
        ("keep", "remove"),
        default_value="keep",
        help="""What becomes of a person's home volume when their account is deleted.

        A later account of the same name never gets it. ``keep`` leaves it where it is, ``remove`` deletes it with all files.
        Default: ``keep``. Example: ``remove``.
        """,
    ).tag(config=True)
    resource_choices = Dict(
        value_trait=ListTrait(),
        help="""What people may choose from: ``memory`` and ``cpu``, each with the values that are offered, the usual one first.

        What is not offered is as `mem_limit` and `cpu_limit` say. Example: ``{"memory": ["2G", "8G"], "cpu": [1, 4]}``.
        """,
    ).tag(config=True)

    starts_as = DockerSpawner

    # The volume that is the home; empty before it is known.
    _home = Unicode()
    # The image's own settings: its user, working directory, environment.
    _image_config = Dict()
    # What was said about the copy, once the server answers.
    _said: Any = Instance(asyncio.Future, allow_none=True)

    async def get_choices(self) -> Choices:
        """Return what the operator offers, as texts."""
        return Offered({name: [str(value) for value in values] for name, values in self.resource_choices.items() if values})

    async def use_image(self, build: Mapping[str, Any]) -> None:
        """Take the image from wherever it is; there is plenty of time for that here, and it is told."""
        self._said = asyncio.get_running_loop().create_future()
        self.image = build["image"]
        await self.pull_image(self.image)
        await self._find_home()
        found = await self.docker("inspect_image", self.image)
        self._image_config = found["Config"]
        chosen = self._repo_options.chosen if self._repo_options else {}
        if "memory" in chosen:
            self.mem_limit = chosen["memory"]
        if "cpu" in chosen:
            self.cpu_limit = float(chosen["cpu"])

    async def _find_home(self) -> None:
        """Find the volume of the person's account, or make it, unless the home is a directory or everybody's."""
        usual = self._usual_home
        if not self._is_personal_volume:
            self._home = usual
            return
        with engine_problems():
            self._home, said = await self._homes.of(self._account, usual)
        if said:
            self.log.warning("The volume %s is of an earlier account named %s, so the new one gets %s.", usual, self.user.name, self._home)
            self.tell(said)

    async def delete_forever(self) -> None:
        """Do with the home what `deleted_homes` says, if this is the server that goes only with its account."""
        if self.name or self.deleted_homes != "remove" or not self._is_personal_volume:
            return
        try:
            with engine_problems():
                await self._homes.remove(self._account, self._usual_home)
        except Rejection as problem:
            self.log.error("The home of the deleted account %s is still there: %s", self.user.name, problem)

    @property
    def _homes(self) -> HomeVolumes:
        kind = self.home_volume.replace("{prefix}", self.prefix)
        return HomeVolumes(self.docker, f"{kind} {self.name}" if "servername" in kind else kind)

    @property
    def _account(self) -> HomeOwner:
        return account_of_user(self.user)

    @property
    def _usual_home(self) -> str:
        return str(self.format_volume_name(self.home_volume, self)) if self.home_volume else ""

    @property
    def _is_personal_volume(self) -> bool:
        return "username" in self.home_volume and not self._usual_home.startswith("/")

    async def get_command(self) -> list[str]:
        """Return the command: what puts the copy in place, then the server's own."""
        content = self._content
        copy = self._copy(content) if self.home_volume and content else ""
        server = [*(self.template.words or self.cmd or [start.SINGLEUSER]), *self.get_args()]
        return start.command(server, str(self.repo_build.get("commit", "")), content=content, copy=copy)

    @property
    def _content(self) -> str:
        """Where the image has the repository's content; empty if it does not say."""
        variables = dict(line.partition("=")[::2] for line in self._image_config.get("Env") or ())
        folder = str(variables.get("REPO_DIR") or self._image_config.get("WorkingDir") or "")
        return "" if folder == "/" else folder

    def _copy(self, content: str) -> str:
        if PurePosixPath(content) == PurePosixPath(self.home_dir):
            self.log.warning("The image's content is at home_dir, %s: the home hides it.", self.home_dir)
            return ""
        return str(working_copy.copy_of(Path(self.home_dir), self.name, self.repo_build["repo"], self.repo_build["ref"]))

    def get_env(self) -> dict[str, str]:
        """Return the server's environment, with the home that stays."""
        env = super().get_env()
        if self.home_volume:
            env["HOME"] = self.home_dir
        if self.template.memory_bytes:
            env["MEM_LIMIT"] = str(self.template.memory_limit(self.mem_limit))
        return env

    def host_config(self) -> dict[str, Any]:
        """Return what the container may, within what its template asks for."""
        template = self.template
        memory = {"mem_limit": template.memory_limit(self.mem_limit)} if template.memory_bytes else {}
        return {**super().host_config(), **memory, **({"cpu_shares": template.shares} if template.shares else {})}

    def labels(self) -> dict[str, str]:
        """Return who and what the container is for; the service asks for these, too."""
        return start.written(self.repo_build, self.user.name, self.name)

    @property
    def volume_binds(self) -> dict[str, dict[str, str]]:
        """The operator's volumes, and the home."""
        binds: dict[str, dict[str, str]] = super().volume_binds
        if self.home_volume:
            binds[self._home or self._usual_home] = {"bind": self.home_dir, "mode": "rw"}
        return binds

    async def start_object(self) -> None:
        """Start the container, with a home that the image's user may write to."""
        if self.home_volume:
            home = PurePosixPath(self.home_dir)
            await self.docker("put_archive", self.container_id, str(home.parent), _open_folder(home.name))
        await super().start_object()

    async def until_it_answers(self, ip: str, port: int) -> None:
        """Wait for the server, then keep for the progress what has become of the person's copy."""
        await super().until_it_answers(ip, port)
        log: bytes = await self.docker("logs", self.container_id, stdout=False, tail=START_LINES)
        self._said.set_result(start.said(log.decode(errors="replace")))

    async def progress(self) -> AsyncGenerator[dict[str, Any]]:
        """Yield the whole start, and in the end what has become of the person's copy."""
        async with aclosing(super().progress()) as events:
            async for event in events:
                yield event
        for line in await asyncio.shield(self._said) if self._said else ():
            yield {"progress": COPY_PERCENT, "message": line}


def _open_folder(name: str) -> bytes:
    """Return an archive with a folder in which everybody may write: a new volume belongs to root, and images have users of any number."""
    content = io.BytesIO()
    folder = tarfile.TarInfo(name)
    folder.type, folder.mode = tarfile.DIRTYPE, 0o777
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(folder)
    return content.getvalue()
