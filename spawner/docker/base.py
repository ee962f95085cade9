"""DockerSpawner with what it lacks: starts that tell why they fail, several calls at a time, and nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from docker.auth import resolve_index_name
from docker.errors import APIError, DockerException, NotFound
from dockerspawner import DockerSpawner
from traitlets import Bool, Dict, Integer, default
from traitlets import List as ListTrait

from ..log_name import log_name
from ..readiness import StartTime, until_it_answers
from ..rejection import FAILED_DEPENDENCY, Rejection, cannot_be_started, server_ended
from .pull import DISK_FULL, PullProgress, disk_full, gone, pull_problem
from .setup import SERVERS_NETWORK

ENGINE_THREADS = 16
PULL_THREADS = 16
LOG_LINES = 20
LOGIN_VARIABLE = "CONTAINER_ENGINE_REGISTRY_CREDENTIALS"
NOT_FOUND = 404


class ContainerSpawner(DockerSpawner):
    """Containers without privileges, from images that are given by digest or are in the engine already."""

    remove = Bool(
        True,
        help="Whether a container is removed when its server stops; what is to stay belongs in a volume.",
    ).tag(config=True)
    registry_credentials = ListTrait(
        Dict(),
        help="""Logins for registries, each with ``registry``, ``username`` and ``password``.

        Registries that are not named here are reached as Docker's own configuration of the hub's user says. A login in the environment
        variable ``CONTAINER_ENGINE_REGISTRY_CREDENTIALS`` (JSON with the same three) wins over both.
        """,
    ).tag(config=True)
    pids_limit = Integer(
        4096,
        min=0,
        help="How many processes and threads a server may have; 0 for any number. Not less than JupyterLab and a few kernels need, some hundreds.",
    ).tag(config=True)

    start_timeout: int
    http_timeout: int
    extra_create_kwargs: Any
    extra_host_config: Any
    mem_limit: Any
    _time: StartTime

    # The hub's own calls wait for no other server's stop.
    _executor = ThreadPoolExecutor(ENGINE_THREADS, thread_name_prefix="engine")
    # Pulls take minutes: what polls, starts and stops servers never waits behind them.
    _pull_executor = ThreadPoolExecutor(PULL_THREADS, thread_name_prefix="pull")

    @default("use_internal_ip")
    def _where_the_hub_is_in_the_servers_network(self) -> bool:
        return self.network_name not in {"bridge", "host", SERVERS_NETWORK}  # in these, ports are published on loopback

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.extra_create_kwargs = self._with_ours(self.extra_create_kwargs, lambda: {"labels": _literal(self.labels())})
        self.extra_host_config = self._with_ours(self.extra_host_config, self.host_config)

    def labels(self) -> dict[str, str]:
        """Return the labels of the container."""
        return {}

    def tell(self, message: str) -> None:
        """Add a line to the progress of the start."""

    # The start

    def start(self) -> Awaitable[Any]:
        """Start the container and return where its server answers.

        Raises:
            Rejection: it does not, with the reason.
        """
        return self._start(super().start)

    async def _start(self, start: Callable[[], Awaitable[tuple[str, int]]]) -> tuple[str, int]:
        self._time = StartTime.from_now(self.start_timeout, self.http_timeout)
        with engine_problems():
            left_over = await self.get_object()
            if left_over and not self.remove and not await self._is_made_of_image(left_over):
                await self.remove_object()
            ip, port = await start()
            await self.until_it_answers(ip, port)
        return ip, port

    async def pull_image(self, image: str) -> None:
        """Pull the image if the engine does not have it, and tell how far it is.

        Only what is named by a digest is pulled: a mere name could be anybody's elsewhere.

        Raises:
            Rejection: it is nowhere, or cannot be pulled.
        """
        with engine_problems():
            try:
                await self.docker("inspect_image", image)
            except NotFound:
                if "@" not in image:
                    raise gone() from None
                await self._pull(image)

    async def _pull(self, image: str) -> None:
        repository, _, digest = image.partition("@")
        registry, _, path = repository.partition("/")
        loop, given_up = asyncio.get_running_loop(), threading.Event()

        def pull() -> None:
            progress = PullProgress()
            messages = self.client.pull(
                f"{registry}/{path.partition(':')[0]}", tag=digest, stream=True, decode=True, auth_config=self._login(registry)
            )
            with contextlib.closing(messages):
                for message in messages:
                    if given_up.is_set():
                        return
                    if "error" in message:
                        raise pull_problem(str(message["error"]), image)
                    if line := progress.hear(message, time.monotonic()):
                        loop.call_soon_threadsafe(self.tell, line)

        self.tell("Pulling the image.")
        try:
            await loop.run_in_executor(self._pull_executor, pull)
        except APIError as error:
            raise pull_problem(_explanation(error), image) from error
        finally:
            given_up.set()

    def _login(self, registry: str) -> dict[str, str] | None:
        """Return the login of a registry, or None to let Docker's own configuration say."""
        given = [*_logins_from_environment(), *self.registry_credentials]
        found = next((login for login in given if resolve_index_name(login["registry"]) == registry), None)
        return {name: found[name] for name in ("username", "password")} if found else None

    async def _is_made_of_image(self, container: Mapping[str, Any]) -> bool:
        image = await self.docker("inspect_image", self.image)
        return bool(container["Image"] == image["Id"])

    async def until_it_answers(self, ip: str, port: int) -> None:
        """Return when the server says anything; raise a `Rejection` as soon as it has ended, or its time is over."""
        await until_it_answers(ip, port, self._look, self._time)

    async def _look(self) -> None:
        container = await self.get_object()
        if container is None:
            raise Rejection(FAILED_DEPENDENCY, "The server's container is gone. Start the server again.")
        if not container["State"]["Running"]:
            raise await self._why_it_ended(container)

    async def get_ip_and_port(self) -> tuple[str, int]:
        """Return where the server answers; raise a `Rejection` if the container has ended already, and so has no port."""
        try:
            address: tuple[str, int] = await super().get_ip_and_port()
        except RuntimeError:
            container = await self.get_object()
            if container is None or container["State"]["Running"]:
                raise
            raise await self._why_it_ended(container) from None
        return address

    async def _why_it_ended(self, container: Mapping[str, Any]) -> Rejection:
        last = await self._last_lines()
        self.log.warning("The server %s ended at once; its last lines:\n%s", log_name(self), last)
        status = container["State"]["ExitCode"]
        await self.remove_object()
        return server_ended(status, last, out_of_memory=bool(container["State"].get("OOMKilled")))

    async def _last_lines(self) -> str:
        output: bytes = await self.docker("logs", self.container_id, tail=LOG_LINES)
        return output.decode(errors="replace").strip()

    # What has become of it

    async def get_object(self) -> dict[str, Any] | None:
        """Return what the engine knows about the container, None if there is none; an engine that is in trouble is no "none"."""
        try:
            found: dict[str, Any] = await self.docker("inspect_container", self.object_name)
        except APIError as error:
            if error.status_code != NOT_FOUND:
                raise
            self.object_id = ""
            return None
        self.object_id = found["Id"]
        return found

    async def poll(self) -> int | str | None:
        """Return None while the server runs; what ended by itself leaves its last lines in the hub's log, and no container."""
        status: int | str | None = await super().poll()
        if status is not None and self.object_id and self.remove:
            self.log.info("The server %s has ended: %s\n%s", log_name(self), status, await self._last_lines())
            await self.remove_object()
            self.object_id = ""
        return status

    async def remove_object(self) -> None:
        """Remove the container, even if it still runs because a hub died while it started it."""
        try:
            await self.docker("remove_container", self.object_id, v=True, force=True)
        except APIError as error:
            if error.status_code not in {NOT_FOUND, 409}:  # 409: it is being removed
                raise

    # How it is made

    def template_namespace(self) -> dict[str, str]:
        """Return what templates of names may use; an image's digest has no place in a name."""
        return {**super().template_namespace(), "imagename": self.image.partition("@")[0].replace("/", "-").replace(":", "-")}

    def host_config(self) -> dict[str, Any]:
        """Return what the container may, in Docker's words."""
        # Removing is ours: the engine would take a container's last words with it.
        own = {"auto_remove": False, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges"]}
        return {**own, **({"pids_limit": self.pids_limit} if self.pids_limit else {})}

    def _with_ours(self, theirs: Any, ours: Callable[[], dict[str, Any]]) -> Callable[[Any], Awaitable[dict[str, Any]]]:
        """Return a setting that is the operator's (a dict or a function, maybe a coroutine) with ours below it, labels above."""

        async def together(spawner: Any) -> dict[str, Any]:
            given = theirs(spawner) if callable(theirs) else theirs
            given = dict((await given if inspect.isawaitable(given) else given) or {})
            own = ours()
            if "labels" in own:
                own["labels"] = {**given.get("labels", {}), **own["labels"]}
            return {**own, **given, **({"labels": own["labels"]} if "labels" in own else {})}

        return together


@contextlib.contextmanager
def engine_problems() -> Iterator[None]:
    """Turn what the engine refuses, and its silence, into a `Rejection`."""
    try:
        yield
    except Rejection:
        raise
    except APIError as error:
        said = _explanation(error)
        if DISK_FULL in said.lower():
            raise disk_full() from error
        if "executable file not found" in said:
            raise cannot_be_started(said) from error
        raise Rejection(FAILED_DEPENDENCY, f"The container engine could not start the server: {said}") from error
    except (DockerException, OSError) as error:
        raise Rejection(FAILED_DEPENDENCY, "The container engine does not answer. Ask an administrator to start it.") from error


def _explanation(error: APIError) -> str:
    return str(error.explanation or error)


def _logins_from_environment() -> list[dict[str, str]]:
    given = os.environ.get(LOGIN_VARIABLE)
    try:
        return [json.loads(given)] if given else []
    except json.JSONDecodeError as error:
        raise Rejection(FAILED_DEPENDENCY, f"The hub's {LOGIN_VARIABLE} is no JSON. Ask an administrator to correct it.") from error


def _literal(texts: Mapping[str, str]) -> dict[str, str]:
    """Return texts that come out of DockerSpawner's templating as they are."""
    return {name: text.replace("{", "{{").replace("}", "}}") for name, text in texts.items()}
