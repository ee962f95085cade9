"""`binder launch`, `open` and `stop`."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import click

from ..hub_api import Person
from ..session import Session
from .builds import check_ended, followed_build, of_repository
from .calling import CallRefused, Failed, Unusable, as_json, connected, person_of, run
from .output import say, show_json, show_page

no_browser = click.option("--no-browser", is_flag=True, help="Print the address only.")


@click.command()
@click.argument("repo", required=False, default="")
@of_repository
@click.option("--path", default="", help="What to open: a file of the repository or, with a leading slash, a URL path inside the server.")
@click.option("--image", default="", metavar="NAME", help="Launch an image that is there already, instead of REPO.")
@click.option("--template", default="", metavar="NAME", help="Launch the image of a template, instead of REPO.")
@click.option("--no-wait", is_flag=True, help="Print the page on which the hub waits for the server, at once.")
@no_browser
@as_json
@connected
def launch(
    session: Session, repo: str, ref: str, provider: str, path: str, image: str, template: str, no_wait: bool, no_browser: bool, as_json: bool
) -> None:
    """Launch a server from REPO, and open it in a browser.

    First the image is built, as by `binder build`, unless it is there. The server's address is printed once it answers. Without a browser,
    or with stdout elsewhere than on a terminal, nothing is opened.
    """
    if sum(map(bool, (repo, image, template))) != 1:
        raise click.UsageError("Name one of REPO, --image and --template.")
    if repo:
        check_ended(followed_build(session, repo, ref, provider, lines="none" if as_json else "text", until_image=True))
    asked = {"repo": repo, "ref": ref, "provider": provider, "path": path, "image": image, "template": template}
    launched = run(session, _launch(session, {name: value for name, value in asked.items() if value}))
    for name in ("url", "pending_url"):
        launched[name] = session.hub.absolute(launched[name])
    if launched["already_running"]:
        say("The server ran already, with the content that it was started with.")
    elif not no_wait:
        run(session, _wait(session, launched["server"]))
    if as_json:
        show_json(launched)
        return
    show_page(launched["pending_url"] if no_wait and not launched["already_running"] else launched["url"], may_open=not no_browser)


@click.command("open")
@click.argument("server", required=False)
@no_browser
@as_json
@connected
def open_server(session: Session, server: str | None, no_browser: bool, as_json: bool) -> None:
    """Open a running server of yours in a browser: SERVER, or the only one. The default server's name is ''."""
    person = run(session, person_of(session))
    name = chosen_server(person, server, only_ready=True)
    address = session.hub.absolute(str((person.servers or {})[name]["url"]))
    if as_json:
        show_json({"server": name, "url": address})
        return
    show_page(address, may_open=not no_browser)


@click.command()
@click.argument("server", required=False)
@as_json
@connected
def stop(session: Session, server: str | None, as_json: bool) -> None:
    """Stop a server of yours: SERVER, or the only one."""
    person = run(session, person_of(session))
    name = chosen_server(person, server)
    has_ended = run(session, _stop(session, person.name, name))
    if as_json:
        show_json({"server": name, "stopped": has_ended})
        return
    say(f"The server {_shown(name)} {'has stopped' if has_ended else 'is being stopped'}.")


def chosen_server(person: Person, server: str | None, *, only_ready: bool = False) -> str:
    """Return the name of the server that is meant.

    Args:
        server: what the person named; None if nothing, which means the only one.
        only_ready: whether it has to be ready.

    Raises:
        Stop: there is no such server, or more than one.
    """
    if person.servers is None:
        raise CallRefused("The token may not see your servers: it lacks the permission read:servers!user.")
    names = [name for name, state in person.servers.items() if state.get("ready") or not only_ready]
    waiting = [name for name in person.servers if name not in names]
    if server in waiting or (server is None and waiting and not names):
        raise CallRefused(f"The server {_shown(waiting[0] if server is None else server)} is not there yet, or not any more: try again in a moment.")
    if server is not None and server not in names:
        raise CallRefused(f"No server {_shown(server)} of yours runs.{_list(names)}")
    if server is None and not names:
        raise CallRefused("No server of yours runs.")
    if server is None and len(names) > 1:
        raise Unusable(f"More than one server of yours runs: name one.{_list(names)}")
    return names[0] if server is None else server


def _list(names: list[str]) -> str:
    return f" There are {', '.join(map(_shown, names))}." if names else ""


def _shown(name: str) -> str:
    return name or "''"


async def _launch(session: Session, asked: dict[str, str]) -> dict[str, Any]:
    async with session.service() as client:
        return await client.ask_object("POST", "launches", json=asked)


async def _wait(session: Session, server: str) -> None:
    """Tell how a server starts, until it answers; raises `Failed` if it does not."""
    async with session.hub_api() as hub, aclosing(hub.progress((await hub.person()).name, server)) as events:
        told = ""
        async for event in events:
            if event.get("ready"):
                return
            if event.get("failed"):
                raise Failed(f"The server could not be started: {event.get('message')}")
            if event.get("message") not in {None, told}:
                told = str(event["message"])
                say(told)
    raise Failed("The hub broke off before the server was there.")


async def _stop(session: Session, person: str, server: str) -> bool:
    async with session.hub_api() as hub:
        return await hub.stop(person, server)
