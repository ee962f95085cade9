"""`binder login`."""

from __future__ import annotations

import sys

import click

from ..config_file import UnusableConfig, config_path, read_config, write_config
from ..hub_address import HubAddress
from ..session import NoSession, Session, check_token, find_address, named_hub
from .calling import Named, Unusable, person_of, run
from .output import say


@click.command()
@click.argument("hub", required=False, default="")
@click.pass_context
def login(context: click.Context, hub: str) -> None:
    """Keep a token of HUB, and ask this hub from then on.

    The token is typed, or pasted, where it is not shown; or it is read from stdin, if that is not a terminal: binder login HUB < FILE.
    It is checked, and kept in a file that only you can read.
    """
    path = config_path()
    try:
        config = read_config(path)
        address = find_address(named_hub(hub or (context.find_object(Named) or Named()).hub, config) or click.prompt("Address of the hub", err=True))
        session = Session(address, check_token(_token(address)))
        person = run(session, person_of(session))
        write_config(path, config.with_login(address.text, session.token))
    except (NoSession, UnusableConfig) as error:
        raise Unusable(str(error)) from error
    say(f"Signed in to {address.url} as {person.name}; the token is in {path}.")
    if lacking := [scope for scope in address.scopes if not person.may(scope)]:
        say(f"The token lacks the permission {' '.join(lacking)}, so some commands will be refused.")


def _token(address: HubAddress) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline()
    say(f"Make a token on {address.token_page} with the permissions {' '.join(address.scopes)}")
    token: str = click.prompt("Token (it is not shown)", hide_input=True, err=True)
    return token
