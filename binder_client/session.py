"""Who asks which hub: found in what the person named, the environment and the configuration file, in this order."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from .client import BuildClient
from .config_file import Config
from .hub_address import HubAddress, hub_address
from .hub_api import HubApi

PATIENCE_SECONDS = 120
AT_ONCE_SECONDS = 0


class NoSession(Exception):
    """No hub or no token is named, or none that can be used; the text is a sentence for people."""


@dataclass(frozen=True)
class Session:
    """A hub, and a token of the person who asks."""

    hub: HubAddress
    token: str = field(repr=False)

    def service(self, patience_seconds: float = AT_ONCE_SECONDS) -> BuildClient:
        """Return a conversation with the build service.

        Args:
            patience_seconds: how long it may be away; by default it has to answer at once.
        """
        return BuildClient(self.hub.service_url, self.token, patience_seconds=patience_seconds, is_neighbour=False)

    def hub_api(self) -> HubApi:
        """Return a conversation with the hub."""
        return HubApi(self.hub.api_url, self.token)


def find_session(hub: str, token: str, config: Config, environment: Mapping[str, str] = os.environ) -> Session:
    """Return the session that is meant.

    A token of the configuration file is sent to the hub that it is of, and to no other. The token that a hub gives to its servers comes last,
    because by default it may not ask the service.

    Args:
        hub, token: what the person named on the command line; may be empty.

    Raises:
        NoSession: there is none.
    """
    named = named_hub(hub, config, environment)
    if not named:
        raise NoSession("No hub is named: run `binder login`, or set BINDER_HUB.")
    address = find_address(named)
    found = token or environment.get("BINDER_TOKEN", "") or config.tokens.get(address.text, "") or environment.get("JUPYTERHUB_API_TOKEN", "")
    if not found:
        raise NoSession(f"There is no token for {address.url}: run `binder login {address.text}`, or set BINDER_TOKEN.")
    return Session(address, check_token(found))


def named_hub(hub: str, config: Config, environment: Mapping[str, str] = os.environ) -> str:
    """Return the address of the hub that is meant, as somebody wrote it; empty if none is.

    Args:
        hub: what the person named on the command line; may be empty.
    """
    return hub or environment.get("BINDER_HUB", "") or config.hub


def find_address(named: str) -> HubAddress:
    """Return the hub that is named; raises `NoSession`."""
    try:
        return hub_address(named)
    except ValueError as error:
        raise NoSession(str(error)) from error


def check_token(token: str) -> str:
    """Return a token without blanks around it; raises `NoSession` if no hub makes such tokens."""
    text = token.strip()
    if not text.isascii() or not text.isprintable() or " " in text or not text:
        raise NoSession("This is not a token: it has characters in it that no token has.")
    return text
