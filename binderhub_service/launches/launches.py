"""From an ask to a person's server: their own token starts a named server over the hub's REST API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from ..builds.controls import ControlKind, Controls
from ..builds.launch_places import LaunchPlaces
from ..builds.launch_quota import HubServer, WantedServer
from ..clients.hub import escaped
from ..common import paths
from ..common.paths import url_path
from ..common.refusal import Refused
from ..errors import InvalidRequest
from ..models import Request, Template
from ..names import former_server_name, server_name
from ..providers import Provider, check_permitted, provider_for
from .hub_starts import HubStarts

ANSWER_SECONDS = 2.0
NOTHING_MORE: Mapping[str, str] = {}
# What JupyterHub 6 says of servers with names of JupyterHub 5 if allow_existing_invalid_named_servers lets nobody start them.
_NO_NAMES = "Named servers are not enabled"
_NAME_DISABLED = "Starting invalid server_name"


@dataclass(frozen=True)
class Planned:
    """A server that is about to be started.

    Attributes:
        user_name, server: whose it is, and its name.
        repo_url: what `git clone` takes.
        image: what it is started from; empty where only its start finds that out.
    """

    user_name: str
    server: str
    repo_url: str
    image: str = ""


@dataclass(frozen=True)
class Attempts:
    """How often a server's start is tried.

    Attributes:
        count: at most.
        delay_seconds: before the second; then twice as long each time.
        launch_seconds: how long one may take.
    """

    count: int = 4
    delay_seconds: float = 4
    launch_seconds: float = 600


BeforeLaunch = Callable[[Planned], Awaitable[None]]


@dataclass(frozen=True)
class Launched:
    """A server that runs or is on its way.

    Attributes:
        server: the server's name; empty for the default one, where the hub has no named servers.
        url: where it will answer, with the path to open.
        pending_url: the hub's page that waits for it and then goes to `url`.
        already_running: whether it ran before, so that it shows the content it was started with.
    """

    server: str
    url: str
    pending_url: str
    already_running: bool = False


class Launches:
    """Starts people's servers.

    Args:
        hub_api_url: the hub's REST API, e.g. ``http://127.0.0.1:8081/hub/api``.
        hub_prefix: where browsers see the hub, e.g. ``/hub/``, or an address where the hub has a host of its own.
        providers: who knows the canonical address of a repository.
        places: knows whether there may be one more server; None for no bound.
        controls: knows what administrators say about single people and repositories; None where they cannot.
        before: told of every server that is about to be started, and may refuse it by raising `BinderError`.
        answer_seconds, timeout_seconds: as in `HubStarts`.
    """

    def __init__(
        self,
        hub_api_url: str,
        hub_prefix: str,
        providers: Sequence[Provider],
        *,
        places: LaunchPlaces | None = None,
        controls: Controls | None = None,
        before: BeforeLaunch | None = None,
        answer_seconds: float = ANSWER_SECONDS,
        timeout_seconds: float = 60,
    ) -> None:
        self._hub_prefix = hub_prefix
        self._base_url = hub_prefix.removesuffix("hub/")
        self._providers = providers
        self.places = places
        self._controls = controls
        self._before = before
        self._starts = HubStarts(hub_api_url, answer_seconds=answer_seconds, timeout_seconds=timeout_seconds)

    async def launch(
        self,
        token: str,
        user_name: str,
        request: Request,
        path: str,
        *,
        about: Mapping[str, str] = NOTHING_MORE,
        image: str = "",
        repo_url: str = "",
        template: Template | None = None,
    ) -> Launched:
        """Start the person's server for a repository and a ref, unless it runs or starts already.

        Args:
            token: the person's own; what it may not, this may not.
            path: what to open: a file, or with a leading slash a URL path inside the server; empty for the server's default.
            about: BinderHub's options ``binder_...``, which the server finds in its environment.
            image, repo_url: as in `Planned`, where they are known.
            template: the template that names the image, if one does; each has a server of its own.

        Raises:
            InvalidRequest: the address, the ref or the path cannot be used, or the hub refuses the server.
            QuotaReached: there are as many servers as there may be.
            NotAllowed: the token may not start the person's servers, or the operator does not let this repository be used.
            Conflict: the server is being stopped; or the hub has no named servers, and the person's one runs something else.
            TooMany: the hub starts enough servers already.
            BuildFailed: the hub tried and could not start the server.
            Unavailable: the hub did not answer.
        """
        check_permitted(request, self._providers)
        repo = provider_for(request, self._providers).canonical_repo(request)
        check_path(path)
        options = {"repo": repo, "ref": request.ref, "path": path, **about} | ({"provider": request.provider} if request.provider else {})
        options |= _options_of(template)
        label = template.name if template else request.ref
        server, former = server_name(repo, label), former_server_name(repo, label)
        if self._before:
            await self._before(Planned(user_name, server, repo_url or repo, image))
        ran = None
        if former in await self._starts.servers(token, user_name):
            ran = await self._starts.start(token, user_name, former, options, or_not=_NAME_DISABLED)
        if ran is not None:
            server = former
        else:
            wanted = await self.wanted(user_name, request, repo_url, server)
            ran = await self._start_in_a_place(token, user_name, options, wanted, or_not=_NO_NAMES)
            if ran is None:
                server = ""
                ran = await self._start_in_a_place(token, user_name, options, replace(wanted, server=replace(wanted.server, name="")))
        return replace(self.launched(user_name, server, path), already_running=bool(ran))

    async def wanted(self, user_name: str, request: Request, repo_url: str = "", server: str = "") -> WantedServer:
        """Return which server a person wants, and how many there may be of its repository.

        What every provider says that knows the address counts, however the repository was asked for; the most specific one wins.

        Args:
            repo_url: what `git clone` takes, where that is known.
            server: its name; by default that of the repository's.

        Raises:
            Unavailable: the hub did not tell in which groups the person is.
        """
        asked = provider_for(request, self._providers)
        repo = asked.canonical_repo(request)
        is_high, config = False, dict[str, int]()
        for provider in sorted(self._providers, key=lambda one: not one.is_generic):
            if provider is asked or provider.understands(repo):
                spec = provider.spec_of(request if provider is asked else Request(repo, request.ref))
                is_high = is_high or provider.rules.is_high_quota(spec)
                config |= provider.rules.config_for(spec)
        quota = self.places.limits.of_repo(is_high=is_high, config=config) if self.places else 0
        name = server or server_name(repo, request.ref)
        return await self._bounded(WantedServer(HubServer(user_name, name, frozenset({repo, repo_url} - {""})), repo_url or repo, quota))

    async def _bounded(self, wanted: WantedServer) -> WantedServer:
        """Return a server with the bounds that administrators have set for its person and its repository."""
        if self._controls is None:
            return wanted
        quota = self._controls.number_of_repository(ControlKind.SERVERS_OF_REPOSITORY, wanted.quota, *wanted.server.repos)
        personal = await self._controls.number_of_person(ControlKind.SERVERS_OF_PERSON, wanted.server.user, 0)
        return replace(wanted, quota=quota, personal=personal)

    async def admit(self, user_name: str, server: str, request: Request) -> bool:
        """Let a server through that the hub has begun to start by itself, and say whether that is news: launches come this way, too.

        What administrators have set for people and repositories bounds it; what the settings say bounds launches alone.

        Raises:
            InvalidRequest: the address cannot be used.
            QuotaReached: there are as many servers as there may be.
            Unavailable: the hub did not say which servers there are, or in which groups the person is.
        """
        if self.places is None:
            return True
        repo = provider_for(request, self._providers).canonical_repo(request)
        wanted = WantedServer(HubServer(user_name, server, frozenset({repo})), repo)
        if self.places.was_announced(wanted.server.key):
            return False
        await self.places.admit(await self._bounded(wanted))
        return True

    def launched(self, user_name: str, server: str, path: str) -> Launched:
        """Return where a person's server is, or will be."""
        whose = "/".join(map(escaped, (user_name, server) if server else (user_name,)))
        url = f"{self._base_url}user/{whose}{url_path(path) or '/'}"
        pending = f"{self._hub_prefix}spawn-pending/{whose}?next={quote(url, safe='')}"
        return Launched(server=server, url=url, pending_url=pending)

    async def _start_in_a_place(self, token: str, user_name: str, options: Mapping[str, Any], wanted: WantedServer, or_not: str = "") -> bool | None:
        """Start a server if there may be one more, as `HubStarts.start`; its place is free again if there is none then."""
        if not self.places:
            return await self._starts.start(token, user_name, wanted.server.name, options, or_not)
        await self.places.take(wanted)
        ran = None
        try:
            ran = await self._starts.start(token, user_name, wanted.server.name, options, or_not)
        finally:
            if ran is None:
                self.places.give_back(wanted)
        return ran


def check_path(path: str) -> str:
    """Return the path to open if it stays inside the repository or the server.

    Raises:
        InvalidRequest: it does not.
    """
    try:
        return paths.check_path(path)
    except Refused as refused:
        raise InvalidRequest.of(refused) from refused


def path_from_query(urlpath: str, filepath: str, labpath: str) -> str:
    """Return the path that a Binder link asks to open; as in BinderHub, a file wins over a URL path.

    Raises:
        InvalidRequest: as `check_path`.
    """
    try:
        return paths.path_from_query(urlpath, filepath, labpath)
    except Refused as refused:
        raise InvalidRequest.of(refused) from refused


def _options_of(template: Template | None) -> dict[str, str]:
    """Return what a template asks for as the spawner takes it: texts, and nothing for what is not asked for."""
    if template is None:
        return {}
    asked = {"command": template.command, "memory": template.memory, "cpu_shares": template.cpu_shares}
    return {f"template_{name}": str(value) for name, value in asked.items() if value}
