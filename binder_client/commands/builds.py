"""`binder build`, `builds`, `log` and `cancel`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import click

from ..session import PATIENCE_SECONDS, Session
from .calling import Failed, as_json, connected, run
from .completion import complete_build
from .following import Following
from .output import local_time, say, show_json, show_table

STATES = ("queued", "running", "ready", "failed", "cancelled")


def of_repository(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say more about its argument REPO."""
    ref = click.option("--ref", default="", help="Branch, tag or full commit; else the default branch.")
    provider = click.option("--provider", default="", metavar="NAME", help="What is to understand REPO, e.g. gh or git; else the address tells.")
    return ref(provider(command))


@click.command()
@click.argument("repo")
@of_repository
@click.option("--force", is_flag=True, help="Build even if the image is there.")
@click.option("--detach", is_flag=True, help="Do not follow the build: print its id.")
@as_json
@connected
def build(session: Session, repo: str, ref: str, provider: str, force: bool, detach: bool, as_json: bool) -> None:
    """Build an image of REPO, and follow the build to its end.

    REPO is a repository's address, that of a page of it, or owner/name on GitHub. The log goes to stdout, all else to stderr; with
    --json, stdout has the build as it is in the end. Ctrl-C ends the following, and not the build.
    """
    if detach:
        begun = run(session, _ensure(session, repo, ref, provider, force=force))
        _show_begun(begun, as_json=as_json)
        return
    ended = followed_build(session, repo, ref, provider, force=force, lines="none" if as_json else "text")
    if as_json:
        show_json(ended)
    check_ended(ended)


def followed_build(
    session: Session, repo: str, ref: str, provider: str, *, force: bool = False, lines: str = "text", until_image: bool = False
) -> dict[str, Any]:
    """Ask for a build, show how it goes on, and return it as it is in the end, or as soon as servers can be started from its image.

    Raises:
        Stop: the service refuses or stays away, or somebody pressed Ctrl-C.
    """
    following = Following(lines)
    begun: dict[str, Any] = {}

    async def asking() -> dict[str, Any]:
        begun.update(await _ensure(session, repo, ref, provider, force=force))
        if begun.get("notice"):
            say(begun["notice"])
        if begun["state"] == "ready":
            return begun
        async with session.service(PATIENCE_SECONDS) as client:
            return await following.follow(client, begun, until_image=until_image)

    with following:
        return run(session, asking(), interrupted=lambda: _how_to_go_on(begun.get("id", ""), following.last))


def check_ended(build: Mapping[str, Any]) -> None:
    """Say how a build ended, or that its image is there; raises `Stop` if it is not."""
    if build["state"] in {"failed", "cancelled"}:
        error = build.get("error") or {}
        ending = "was cancelled" if build["state"] == "cancelled" else "failed"
        raise Failed(f"The build {ending}. {error.get('message', '')} {error.get('hint') or ''}".strip())
    say(f"The image is there: {build['image']}")


@click.command()
@click.option("--state", type=click.Choice(STATES), help="Only builds in this state.")
@click.option("--repo", default="", help="Only builds of this repository, by its canonical address.")
@click.option("--owner", default="", help="Only builds that this user asked for first.")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True, help="How many, at most.")
@click.option("--before", default="", metavar="BUILD", help="Only builds older than this one.")
@as_json
@connected
def builds(session: Session, as_json: bool, **filters: str | int | None) -> None:
    """List builds, newest first."""

    async def asking() -> Any:
        async with session.service() as client:
            return await client.ask("GET", "builds", params={name: value for name, value in filters.items() if value})

    found = run(session, asking())
    if as_json:
        show_json(found)
        return
    rows = ([one["id"], one["state"], one["repo"], one["ref"], one["owner"], local_time(one["created"])] for one in found)
    show_table(["BUILD", "STATE", "REPOSITORY", "REF", "OWNER", "ASKED FOR"], rows)


@click.command()
@click.argument("build_id", metavar="BUILD", shell_complete=complete_build)
@click.option("--follow", "-f", is_flag=True, help="Wait for what is still to come, and end with the build's exit status.")
@click.option("--after", type=click.IntRange(0, 2**31 - 1), default=0, metavar="NUMBER", help="Begin behind the event of this number.")
@as_json
@connected
def log(session: Session, build_id: str, follow: bool, after: int, as_json: bool) -> None:
    """Print the log of a build. With --json, every event of it is a line of JSON."""
    following = Following("json" if as_json else "text", after)

    async def asking() -> dict[str, Any]:
        async with session.service() as client:
            build = await client.ask_object("GET", _path(build_id))
        async with session.service(PATIENCE_SECONDS) as client:
            return await following.follow(client, build, to_end=follow)

    with following:
        build = run(session, asking(), interrupted=lambda: _how_to_go_on(build_id, following.last))
    if follow:
        check_ended(build)


@click.command()
@click.argument("build_id", metavar="BUILD", shell_complete=complete_build)
@as_json
@connected
def cancel(session: Session, build_id: str, as_json: bool) -> None:
    """Cancel a build that you asked for first; of another's, take back only that you want it, too."""

    async def asking() -> dict[str, Any]:
        async with session.service() as client:
            return await client.ask_object("DELETE", _path(build_id))

    build = run(session, asking())
    if as_json:
        show_json(build)
        return
    say("The build is cancelled." if build["state"] == "cancelled" else "You do not want the build any more; it goes on for others.")


async def _ensure(session: Session, repo: str, ref: str, provider: str, *, force: bool) -> dict[str, Any]:
    async with session.service() as client:
        return await client.ensure(repo, ref, provider, force=force)


def _show_begun(build: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(build)
        return
    click.echo(build["id"])


def _how_to_go_on(build_id: str, last: int) -> str:
    if not build_id:
        return ""
    after = f" --after {last}" if last else ""
    return f"Stopped following; the build goes on. Follow it by `binder log --follow{after} {build_id}`, or end it by `binder cancel {build_id}`."


def _path(build_id: str) -> str:
    return f"builds/{quote(build_id, safe='')}"
