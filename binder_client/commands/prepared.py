"""`binder prepared`: environments that are built ahead, for people to pick from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import click

from ..session import Session
from .calling import as_json, asked, connected, run
from .output import local_time, say, show_json, show_table

_name = click.argument("name")


@click.group()
def prepared() -> None:
    """List prepared environments; administrators of the hub add, change, refresh and remove them.

    `binder launch NAME --provider prepared` launches one.
    """


@prepared.command(name="list")
@as_json
@connected
def list_prepared(session: Session, as_json: bool) -> None:
    """List all, with what their servers are made from."""
    found = run(session, asked(session, "GET", "prepared"))
    if as_json:
        show_json(found["environments"])
        return
    show_table(("NAME", "REPOSITORY", "REF", "STATE", "REFRESHED", "DESCRIPTION"), map(_row, found["environments"]))


@prepared.command(name="set")
@_name
@click.argument("repo")
@click.option("--ref", default="", help="Branch, tag or commit; else the default branch.")
@click.option("--description", default="", help="What people read beside the name.")
@click.option("--profile", default="", help="The slug of a profile of Kubernetes mode that its servers have.")
@connected
def set_prepared(session: Session, name: str, repo: str, ref: str, description: str, profile: str) -> None:
    """Add the environment NAME, made from REPO, or change it; it is built at once."""
    body = {"repo": repo, "ref": ref, "description": description, "profile": profile}
    run(session, asked(session, "PUT", _path(name), json=body))


@prepared.command(name="remove")
@_name
@connected
def remove_prepared(session: Session, name: str) -> None:
    """Take the environment NAME off the list."""
    run(session, asked(session, "DELETE", _path(name)))


@prepared.command(name="refresh")
@_name
@connected
def refresh_prepared(session: Session, name: str) -> None:
    """Look for a new commit of the environment NAME, and build it; does not wait for the build."""
    run(session, asked(session, "POST", f"{_path(name)}/refresh"))


@prepared.command(name="hook")
@_name
@as_json
@connected
def hook(session: Session, name: str, as_json: bool) -> None:
    """Print the address and the secret of the environment's webhook, to type into a forge."""
    found = run(session, asked(session, "GET", f"{_path(name)}/hook"))
    if as_json:
        show_json(found)
        return
    say("Address, and secret: GitHub and Gitea sign with it, GitLab sends it as its token.")
    show_table(("ADDRESS", "SECRET"), [(found["url"], found["secret"])])


def _path(name: str) -> str:
    return f"prepared/{quote(name, safe='')}"


def _row(one: Mapping[str, Any]) -> list[str]:
    commit = (one["commit"] or "")[:7]
    state = f"{commit or 'none'}, failed: {one['problem']}" if one["problem"] else commit or "being prepared"
    return [one["name"], one["repo"], one["ref"], state, local_time(one["refreshed"]) if one["refreshed"] else "", one["description"]]
