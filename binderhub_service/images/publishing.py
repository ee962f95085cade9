"""Images of one registry pushed to another by somebody's own login; their bytes pass through this process, which keeps none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx

from ..clients.credentials import Credentials, Login
from ..clients.reference import Reference
from ..clients.registry import RegistryClient
from ..clients.registry_writer import PushRefused, RegistryWriter
from ..clients.relay import allowed_addresses, relaying
from ..clients.trust import trusted
from ..common.address_rules import ASK_FOR_PUBLIC, AddressRules, not_public
from ..common.redact import redact
from ..errors import BinderError, BuildFailed, NotAllowed, NotFound, Unavailable

_HTTPS = 443


class Publisher:
    """Pushes images to registries that people name.

    Args:
        client: asks the registry that has the images.
        plain_http: registries (host and port) that speak no TLS; those on loopback may always.
        rules: which hosts may be pushed to; they hold for addresses that a registry names, too.
    """

    def __init__(self, client: RegistryClient, plain_http: Sequence[str], rules: AddressRules) -> None:
        self._client = client
        self._plain_http = plain_http
        self._rules = rules

    async def publish(self, name: str, target: str, login: Login | None) -> None:
        """Push an image under another name.

        Args:
            target: the name in a registry, with its tag.

        Raises:
            BuildFailed: the registry does not take it.
            NotAllowed: the registry is at an address that may not be asked (``address_not_allowed``).
            NotFound: there is no such image any more.
            Unavailable: a registry could not be asked, or does not take the login.
        """
        async with self._client_with(login) as client:
            try:
                is_there = await RegistryWriter(client, target).copy(RegistryWriter(self._client, name))
            except PushRefused as refused:
                raise _refusal(refused, target, login) from refused
        if not is_there:
            raise NotFound("The image is gone.", code="image_not_found", hint="Send it again; it is built anew.")

    @asynccontextmanager
    async def _client_with(self, login: Login | None) -> AsyncIterator[RegistryClient]:
        """Yield what asks registries by a login, over the way that the rules leave open."""
        credentials = Credentials([login] if login else [])
        if not self._rules.public_only:
            async with _closing(RegistryClient(credentials, self._plain_http)) as client:
                yield client
            return
        with relaying(self._rules) as relay:
            transport = _OpenHosts(self._rules, f"socks5://127.0.0.1:{relay.server_address[1]}")
            async with _closing(RegistryClient(credentials, self._plain_http, transport)) as client:
                yield client


def _refusal(refused: PushRefused, target: str, login: Login | None) -> BinderError:
    if refused.is_login:
        who = "the login that it was given" if login else "anybody without a login"
        sentence = f"The registry {Reference.parse(target).registry} refuses {who}."
        return Unavailable(sentence, code="registry_login_failed", hint="Check the user name and the password.")
    return BuildFailed(redact(refused.message), code="push_failed", hint="Check the name of the image, and the login.")


class _OpenHosts(httpx.AsyncHTTPTransport):
    """Goes by a relay, and says in a sentence which hosts that would refuse."""

    def __init__(self, rules: AddressRules, relay: str) -> None:
        super().__init__(verify=trusted(), proxy=relay)
        self._rules = rules

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host, port = request.url.host, request.url.port or _HTTPS
        try:
            await asyncio.to_thread(allowed_addresses, self._rules, host, port)
        except PermissionError as error:
            sentence = f"The image may not be pushed there: {not_public(host)}."
            raise NotAllowed(sentence, code="address_not_allowed", hint=ASK_FOR_PUBLIC) from error
        return await super().handle_async_request(request)


@asynccontextmanager
async def _closing(client: RegistryClient) -> AsyncIterator[RegistryClient]:
    try:
        yield client
    finally:
        await client.close()
