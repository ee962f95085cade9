"""What an administrator does on the service's machine with what it keeps: images, people's working copies and builds; drain, resume.

The commands ask the service that runs with the state, at a socket that only its user can open; where none runs, they are the service for a moment.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from ..app import BinderService
from ..assembly import Assembly
from ..common.private import cookie_secret
from ..common.terminal import plain
from ..errors import BinderError, Conflict, NotFound, Unavailable
from ..handlers.application import make_private_application
from ..hub_auth import HubOAuth
from ..monitoring.metrics import Metrics
from ..process.api_port import COMMANDS_SOCKET, is_served, socket_of
from ..process.receiving import ServerLimits
from ..process.server import BoundedServer
from ..process.tasks import Tasks
from .administration import add_argument, alone

_SECONDS = 300.0
_LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Asking:
    """A conversation with a service at its socket.

    Attributes:
        is_running: whether it is the service that people use, and not this command's own.
    """

    http: httpx.AsyncClient
    is_running: bool

    async def ask(self, method: str, path: str, **more: Any) -> Any:
        """Return what the service answers, None where it says nothing.

        Args:
            path: what stands behind ``api/``.

        Raises:
            BinderError: the service refuses.
            Unavailable: it ended meanwhile.
        """
        try:
            answer = await self.http.request(method, f"/api/{path}", **more)
        except httpx.TransportError as error:
            raise Unavailable("The service ended meanwhile.", hint="Try again.") from error
        if answer.headers.get("Content-Type", "").startswith("text/html"):  # what was named, e.g. `../x`, leads out of the API
            raise NotFound("There is nothing of this name.", hint="List what there is.")
        if answer.is_error:
            refused = answer.json()["error"]
            raise BinderError(refused["message"], hint=refused["hint"])
        return answer.json() if answer.content else None


Command = Callable[[Asking, argparse.Namespace], Awaitable[Any]]


async def list_images(asking: Asking, _given: argparse.Namespace) -> Any:
    """List images, most recently used first."""
    return await asking.ask("GET", "images")


async def remove_image(asking: Asking, given: argparse.Namespace) -> Any:
    """Remove an image that no server and no build uses."""
    await asking.ask("DELETE", f"images/{quote(given.what)}")
    return f"The image {given.what} is removed."


async def list_copies(asking: Asking, given: argparse.Namespace) -> Any:
    """List people's homes and the working copies in them, of everybody or of one person."""
    return await asking.ask("GET", "copies", params={"person": given.what})


async def remove_copy(asking: Asking, given: argparse.Namespace) -> Any:
    """Remove a working copy, or a home with all that is in it; not while a server runs there."""
    await asking.ask("DELETE", f"copies/{quote(given.what)}")
    return f"{given.what} is removed."


async def list_builds(asking: Asking, given: argparse.Namespace) -> Any:
    """List the newest builds."""
    state = {"state": given.what} if given.what else {}
    return await asking.ask("GET", "builds", params={"limit": 200, **state})


async def cancel_build(asking: Asking, given: argparse.Namespace) -> Any:
    """Cancel a build that waits or runs, for everybody."""
    if not asking.is_running:
        raise Conflict("The service does not run, and only it can cancel a build.", hint="Start it first.")
    await asking.ask("DELETE", f"builds/{quote(given.what, safe='')}")
    return f"The build {given.what} is cancelled."


async def remove_build(asking: Asking, given: argparse.Namespace) -> Any:
    """Remove the record of a build that has ended, with its log; not the newest one of an image that is there."""
    await asking.ask("DELETE", f"builds/{quote(given.what, safe='')}/record")
    return f"The record of the build {given.what} is removed."


async def drain(asking: Asking, given: argparse.Namespace) -> Any:
    """Let no new build begin, and wait until all have ended; the text is the reason that people see."""
    await asking.ask("PUT", "controls/drain", json={"text": given.what})
    if not asking.is_running:
        return "The service does not run; when it does, no build begins until it is resumed."
    told = ""
    while not (state := await asking.ask("GET", "drain"))["drained"]:
        waiting = f"Waiting for {state['running']} running and {state['queued']} queued builds, and {state['jobs']} jobs.\n"
        if waiting != told:
            sys.stderr.write(waiting)
            told = waiting
        await asyncio.sleep(_LOOK_SECONDS)
    return "The service is drained: it can be stopped."


async def resume(asking: Asking, _given: argparse.Namespace) -> Any:
    """Let builds begin again after a drain."""
    await asking.ask("DELETE", "controls/drain")
    return "Builds begin again."


# By command and action: what is done, the argument, and what of an entry of a list is shown.
COMMANDS: dict[str, dict[str, tuple[Command, str, Sequence[str]]]] = {
    "images": {"list": (list_images, "", ("name", "bytes", "last_used", "used_by")), "remove": (remove_image, "name", ())},
    "copies": {
        "list": (list_copies, "[person]", ("name", "person", "repo", "bytes", "last_used", "running")),
        "remove": (remove_copy, "name", ()),
    },
    "builds": {
        "list": (list_builds, "[state]", ("id", "state", "repo", "ref", "owner", "created")),
        "cancel": (cancel_build, "id", ()),
        "remove": (remove_build, "id", ()),
    },
    "drain": {"": (drain, "[text]", ())},
    "resume": {"": (resume, "", ())},
}


def run(command: str, given: Sequence[str], settings_of: Callable[[list[str]], BinderService]) -> int:
    """Run a command of `COMMANDS`, print what came of it, and return the exit status: 1 where it could not be done.

    Args:
        given: its arguments; what it does not know is the service's.
        settings_of: reads the service's settings.
    """
    arguments, of_service = _parser(command).parse_known_args(given)
    what, _, columns = COMMANDS[command][arguments.action]
    settings = settings_of(of_service)
    try:
        asyncio.run(settings.check_settings())
        found = _run(settings, lambda asking: what(asking, arguments))
    except BinderError as error:
        sys.stderr.write(f"{plain(error.message)} {error.hint or ''}".rstrip() + "\n")
        return 1
    if arguments.as_json:
        sys.stdout.write(json.dumps(found if isinstance(found, list) else {"message": found}) + "\n")
        return 0
    if found == []:
        sys.stderr.write("There are none.\n")
    lines = ["\t".join(_cell(one[name]) for name in columns) for one in found] if isinstance(found, list) else [found]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


def _parser(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"binderhub-service {command}", allow_abbrev=False)
    parser.set_defaults(action="", what="", as_json=False)
    actions = COMMANDS[command]
    parsers = parser.add_subparsers(dest="action", required=True) if "" not in actions else None
    for action, (what, argument, _) in actions.items():
        one = parsers.add_parser(action, help=what.__doc__, allow_abbrev=False) if parsers else parser
        if argument:
            add_argument(one, "what", argument)
        one.add_argument("--json", dest="as_json", action="store_true", help="print JSON, for scripts")
    return parser


def _run(settings: BinderService, ask: Callable[[Asking], Awaitable[Any]]) -> Any:
    """Return what is answered by the service that runs, or by one of this command's own."""
    socket = socket_of(settings.state, COMMANDS_SOCKET)

    async def asked(*, is_running: bool) -> Any:
        transport = httpx.AsyncHTTPTransport(uds=str(socket), verify=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service", timeout=_SECONDS) as client:
            return await ask(Asking(client, is_running))

    async def asked_alone() -> Any:
        assembly, metrics = Assembly(settings), Metrics(settings.mode)
        store = await assembly.make_store(metrics)
        await store.open(settings.state)
        context = assembly.make_context(store, HubOAuth.instance(parent=settings), metrics, Tasks())
        try:
            await context.controls.load()
            await context.prepared.load()
            return await _while_served(socket, make_private_application(context, cookie_secret(settings.state)), asked(is_running=False))
        finally:
            await context.builds.close()
            await store.close()

    if asyncio.run(is_served(socket)):
        return asyncio.run(asked(is_running=True))
    with alone(settings):
        return asyncio.run(asked_alone())


async def _while_served(socket: Path, application: Any, asked: Awaitable[Any]) -> Any:
    server = BoundedServer("/", ServerLimits(), is_behind_proxy=False)
    server.application = application
    listening = server.listen_at(socket)
    try:
        return await asked
    finally:
        listening.stop()
        socket.unlink(missing_ok=True)


def _cell(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return plain(text).replace("\t", " ")
