"""`binder completion`, and what a shell offers for arguments."""

from __future__ import annotations

import asyncio

import click
from click.shell_completion import CompletionItem, get_completion_class

from ..answers import ServiceError
from ..session import Session
from .calling import Stop, session_of
from .output import text

_SECONDS = 3
_MOST = 20


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script that lets SHELL complete commands, options and builds.

    \b
    bash: eval "$(binder completion bash)" in ~/.bashrc
    zsh:  eval "$(binder completion zsh)" in ~/.zshrc
    fish: binder completion fish > ~/.config/fish/completions/binder.fish
    """
    kind = get_completion_class(shell)
    if kind is not None:
        click.echo(kind(context.find_root().command, {}, "binder", "_BINDER_COMPLETE").source())


def complete_build(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the newest builds whose ids begin so; none if the service cannot be asked at once."""
    try:
        session = session_of(context)
        found = asyncio.run(asyncio.wait_for(_newest(session), _SECONDS))
    except (Stop, ServiceError, TimeoutError):
        return []
    return [CompletionItem(one["id"], help=text(f"{one['state']} {one['repo']}")) for one in found if one["id"].startswith(incomplete)]


async def _newest(session: Session) -> list[dict[str, str]]:
    async with session.service() as client:
        found: list[dict[str, str]] = await client.ask("GET", "builds", params={"limit": _MOST})
        return found
