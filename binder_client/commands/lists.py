"""`binder images` and `binder templates`; and how a list is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

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
    titles = ("IMAGE", "SIZE", "LAST USED", "SERVERS")
    show_list(session, "images", titles, _image_row, as_json=as_json)


@click.command()
@as_json
@connected
def templates(session: Session, as_json: bool) -> None:
    """List templates, by name; `binder launch --template NAME` launches one."""
    titles = ("TEMPLATE", "IMAGE", "CHANGED")
    show_list(session, "templates", titles, lambda one: [one["name"], one["image"], local_time(one["modified"])], as_json=as_json)


def show_list(session: Session, path: str, titles: Sequence[str], row: Callable[[Mapping[str, Any]], Sequence[str]], *, as_json: bool) -> None:
    """Show the list that the service answers with.

    Args:
        path: what stands behind ``api/``.
        row: makes an entry a row below the titles.
    """
    found = run(session, asked(session, "GET", path))
    if as_json:
        show_json(found)
    else:
        show_table(titles, map(row, found))


def _image_row(image: Mapping[str, Any]) -> list[str]:
    return [image["name"], f"{image['bytes'] / _MEGABYTE:.0f} MB", local_time(image["last_used"]), ", ".join(image["used_by"])]
