"""`binder control`, `drain` and `resume`: what administrators switch while the service runs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import click

from ..session import Session
from .calling import as_json, asked, connected, run
from .lists import show_list
from .output import local_time, say, show_json

_KINDS = (
    *("ban-repository", "allow-repository", "ban-person", "pause", "drain", "announcement"),
    *("builds-of-person", "builds-of-repository", "servers-of-person", "servers-of-repository", "launches-of-person", "megabytes-of-person"),
)
_kind = click.argument("kind", type=click.Choice(_KINDS))
_pattern = click.argument("pattern", default="")
_LOOK_SECONDS = 1.0


@click.group()
def control() -> None:
    """Ban repositories and people, bound builds and servers, pause builds, announce something; for administrators of the hub."""


@control.command(name="list")
@as_json
@connected
def list_controls(session: Session, as_json: bool) -> None:
    """List all that is switched, with the reasons."""
    titles = ("CONTROL", "PATTERN", "TEXT", "SET BY", "SET")
    show_list(session, "controls", titles, _row, as_json=as_json)


@control.command(name="set")
@_kind
@_pattern
@click.option("--text", default="", help="The reason that people see, what is announced, or how many there may be.")
@connected
def set_control(session: Session, kind: str, pattern: str, text: str) -> None:
    """Switch something on, or change it.

    PATTERN is of addresses without https:// (a host or an account stands for all below it) or of people's names, with * and ?;
    a pause, a drain and an announcement have none. A number is for all of group:NAME as well; none means no bound.
    """
    run(session, asked(session, "PUT", f"controls/{kind}", json={"pattern": pattern, "text": text}))


@control.command(name="remove")
@_kind
@_pattern
@connected
def remove_control(session: Session, kind: str, pattern: str) -> None:
    """Switch something off; PATTERN as it is listed."""
    run(session, asked(session, "DELETE", f"controls/{kind}", params={"pattern": pattern}))


@click.command()
@click.option("--text", default="", help="The reason that people see.")
@click.option("--detach", is_flag=True, help="Do not wait until the service is drained.")
@as_json
@connected
def drain(session: Session, text: str, detach: bool, as_json: bool) -> None:
    """Let no new build begin, and wait until all that wait or run have ended: then the service can be stopped.

    It holds, also over restarts, until `binder resume`. For administrators of the hub.
    """

    async def draining() -> dict[str, Any]:
        told = ""
        async with session.service() as client:
            await client.ask("PUT", "controls/drain", json={"text": text})
            while True:
                state = await client.ask_object("GET", "drain")
                if detach or state["drained"]:
                    return state
                left = f"Waiting for {state['running']} running and {state['queued']} queued builds, and {state['jobs']} jobs."
                if left != told:
                    say(left)
                    told = left
                await asyncio.sleep(_LOOK_SECONDS)

    state = run(session, draining(), interrupted=lambda: "No new builds are begun; `binder resume` lets them begin again.")
    if as_json:
        show_json(state)
    else:
        click.echo("The service is drained: it can be stopped." if state["drained"] else "The service is draining.")


@click.command()
@connected
def resume(session: Session) -> None:
    """Let builds begin again after `binder drain`; for administrators of the hub."""
    run(session, asked(session, "DELETE", "controls/drain"))


def _row(one: Mapping[str, Any]) -> list[str]:
    return [one["kind"], one["pattern"], one["text"], one["set_by"], local_time(one["set_at"])]
