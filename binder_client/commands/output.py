"""What is shown: text of others only without what commands a terminal, tables, and JSON."""

from __future__ import annotations

import json
import os
import sys
import webbrowser
from collections.abc import Iterable, Sequence
from datetime import datetime

import click
from rich.ansi import AnsiDecoder
from rich.console import Console
from rich.table import Table

from binderhub_service.common.terminal import coloured, plain


def text(told: object) -> str:
    """Return what somebody else wrote as one line of plain text; nothing for None."""
    return "" if told is None else " ".join(plain(line) for line in str(told).splitlines())


def console(*, stderr: bool = False) -> Console:
    """Return the terminal, or the file, that is written to."""
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def say(sentence: str) -> None:
    """Tell the person something that is not what a script would read: on stderr."""
    click.echo(text(sentence), err=True)


def show_json(value: object) -> None:
    """Print a value as one line of JSON."""
    click.echo(json.dumps(value))


def show_line(line: str, on: Console) -> None:
    """Print a line of a build's log: in its colours on a terminal, else as plain text."""
    if not on.is_terminal:
        click.echo(plain(line))
        return
    on.print(AnsiDecoder().decode_line(coloured(line)), soft_wrap=True)


def show_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table: for people on a terminal, else a line for each row, its cells divided by tabs."""
    on = console()
    texts = [[text(cell) for cell in row] for row in rows]
    if not on.is_terminal:
        for row in texts:
            click.echo("\t".join(cell.replace("\t", " ") for cell in row))
        return
    table = Table(*headings, box=None, pad_edge=False, header_style="bold")
    for column in table.columns:
        column.overflow = "fold"
    for row in texts:
        table.add_row(*row)
    on.print(table)


def local_time(told: str) -> str:
    """Return a time of the wire as people here write it, to the minute; on other things than terminals as it is."""
    if not sys.stdout.isatty():
        return told
    try:
        return f"{datetime.fromisoformat(told).astimezone():%Y-%m-%d %H:%M}"
    except ValueError:
        return told


def show_page(address: str, *, may_open: bool) -> None:
    """Print the address of a page, and open it in a browser if that may be and there is one with a window."""
    click.echo(text(address))
    has_window = sys.platform in {"darwin", "win32"} or any(os.environ.get(name) for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"))
    if may_open and has_window and sys.stdout.isatty():
        webbrowser.open(address)
