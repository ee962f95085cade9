"""Which hub is asked, and where its build service is; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from binderhub_service.common.authority import bracketed

SERVICE = "binder"
_SERVICE_PATH = re.compile(r"/services/(?P<name>[^/]+)(?:/|$)")
_HUB_PATH = re.compile(r"/hub(?:/|$)")


@dataclass(frozen=True)
class HubAddress:
    """A hub.

    Attributes:
        url: its public address with its base URL, without a slash at the end.
        service: what the build service is called there.
    """

    url: str
    service: str = SERVICE

    @property
    def service_url(self) -> str:
        """Where the build service is."""
        return f"{self.url}/services/{self.service}"

    @property
    def api_url(self) -> str:
        """Where the hub's REST API is."""
        return f"{self.url}/hub/api"

    @property
    def token_page(self) -> str:
        """The page on which people make tokens."""
        return f"{self.url}/hub/token"

    @property
    def scopes(self) -> tuple[str, ...]:
        """What a token needs for all commands but those for administrators."""
        return (f"access:services!service={self.service}", "custom:binder:build", "servers!user", "read:servers!user")

    @property
    def text(self) -> str:
        """What `hub_address` makes the same address of."""
        return self.url if self.service == SERVICE else self.service_url

    def absolute(self, address: str) -> str:
        """Return the whole address of a path on the hub's host."""
        return address if "://" in address else f"{self._origin}{address}"

    @property
    def _origin(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


def hub_address(text: str) -> HubAddress:
    """Return the hub whose address, or that of one of whose pages, somebody gave.

    Raises:
        ValueError: it is no address of a hub; the text is a sentence for people.
    """
    try:
        parts = urlsplit(text.strip())
        port = f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise ValueError("This is not the address of a hub.") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("A hub's address begins with https:// or http://, as in https://hub.example.org.")
    if "@" in parts.netloc:
        raise ValueError("A hub's address has no user name and no password in it.")
    host = bracketed(parts.hostname)
    service = _SERVICE_PATH.search(parts.path)
    end = service or _HUB_PATH.search(parts.path)
    base = parts.path[: end.start()] if end else parts.path
    return HubAddress(f"{parts.scheme}://{host}{port}{base.rstrip('/')}", service["name"] if service else SERVICE)
