"""`binder images` and `binder templates`."""

from __future__ import annotations

import click

from ..session import Session
from .calling import as_json, asked, connected, run
from .output import local_time, show_json, show_table

_MEGABYTE = 10**6


@click.command()
@as_json
@connected
def images(session: Session, as_json: bool) -> None:
    """List images, most recently used first; for administrators of the hub."""
    found = run(session, asked(session, "GET", "images"))
    if as_json:
        show_json(found)
        return
    rows = ([one["name"], f"{one['bytes'] / _MEGABYTE:.0f} MB", local_time(one["last_used"]), ", ".join(one["used_by"])] for one in found)
    show_table(["IMAGE", "SIZE", "LAST USED", "SERVERS"], rows)


@click.command()
@as_json
@connected
def templates(session: Session, as_json: bool) -> None:
    """List templates, by name; `binder launch --template NAME` launches one."""
    found = run(session, asked(session, "GET", "templates"))
    if as_json:
        show_json(found)
        return
    show_table(["TEMPLATE", "IMAGE", "CHANGED"], ([one["name"], one["image"], local_time(one["modified"])] for one in found))
