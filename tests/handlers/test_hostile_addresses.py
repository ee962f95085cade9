"""Every route of the service at its own port, where no proxy tidies an address: whatever is sent, the answer is never a 500."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import Iterator
from itertools import cycle
from typing import Any

import pytest
from jupyterhub.services.auth import HubOAuth
from tornado import web

from binderhub_service.handlers.application import make_application
from binderhub_service.process.receiving import ServerLimits
from binderhub_service.process.server import BoundedServer
from tests.handlers.test_api import PREFIX, SECRET, Service, hub_auth, service
from tests.harness.waiting import within

__all__ = ["hub_auth", "service"]  # fixtures

AT_ONCE = 8
HOSTILE = [
    b"%00",
    b"%ff",
    b"\xff",
    b"%c0%af",
    b"%ed%a0%80",
    b"%2e%2e",
    b"..",
    b"%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    b"%2f%2fetc",
    b"%",
    b"%zz",
    b"%0d%0aX:1",
    b"%u0000",
    b"%F0%9F%90%8D",
    b"%5c..%5c",
    b"a" * 5000,
    b"a%2f" * 5000,
    b"gh",
    b"git/https%3A%2F%2F%5B/x",
    b";a=b",
]
QUERIES = [
    b"%00=%00",
    b"%ff",
    b"before=%00&repo=%00&state=%00&owner=%00",
    b"limit=-1",
    b"limit=" + b"9" * 5000,
    b"limit=1e9&after=NaN",
    b"after=-1",
    b"after=" + b"9" * 5000,
    b"after=%D9%A3",
    b"limit=%D9%A3",
    b"repo=https%3A%2F%2F%5B&ref=%F0%9F%90%8D&path=..%2F..&provider=x",
    b"a[]=1&a[]=2&a.b=c",
    b"&&&===",
    b"a&" * 5000,
    b"code=x&state=y",
    b"code=x&state=" + b"%7B%7D" * 100,
    b"urlpath=%00&labpath=%ff&filepath=..",
    b"build_token=x&build_only=x",
    b"_xsrf=%F0%9F%90%8D",
    b"?",
]
METHODS = ["POST", "DELETE", "OPTIONS", "HEAD", "PUT", "PATCH", "BREW"]
_GROUP = re.compile(r"\((?:[^()]|\([^()]*\))*\)\??|\[\^/\]\+|\.[*+]")


def routes_of(application: web.Application) -> Iterator[str]:
    """Yield the patterns of all routes of an application."""

    def walk(rules: list[Any]) -> Iterator[str]:
        for rule in rules:
            inner = getattr(rule.target, "rules", None)
            if inner is not None:
                yield from walk(inner)
            elif hasattr(rule.matcher, "regex"):
                yield rule.matcher.regex.pattern

    return walk(application.default_router.rules)


def address_of(pattern: str, segment: bytes) -> bytes:
    """Return an address of a route, with the same thing wherever the pattern lets one choose."""
    plain = pattern.removesuffix("$").replace("/?", "")
    return _GROUP.sub("\0", plain).replace("\\", "").encode().replace(b"\0", segment)


def requests_of(patterns: list[str]) -> list[tuple[str, bytes]]:
    """Return methods and addresses: GET for every address, and another method in turn."""
    addresses = [address_of(pattern, hostile) for pattern in patterns for hostile in HOSTILE]
    addresses += [address_of(pattern, b"gh") + b"?" + query for pattern in patterns for query in QUERIES]
    return [pair for address, method in zip(addresses, cycle(METHODS), strict=False) for pair in (("GET", address), (method, address))]


async def status_of(port: int, method: str, address: bytes, token: str) -> int:
    """Send a request as it is, and return the answer's status; 0 if the connection was closed without an answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    credentials = f"Authorization: token {token}\r\n" if token else ""
    writer.write(f"{method} ".encode() + address + f" HTTP/1.1\r\nHost: h\r\n{credentials}Connection: close\r\nContent-Length: 0\r\n\r\n".encode())
    async with within():
        line = await reader.readline()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return int(line.split()[1]) if line else 0


@pytest.mark.parametrize("who", ["root-admin", ""], ids=["an administrator", "nobody"])
async def test_no_address_is_an_internal_error(service: Service, who: str) -> None:
    application = make_application(service.context, SECRET)
    patterns = list(routes_of(application))
    assert len(patterns) > 20
    listener = BoundedServer(PREFIX, ServerLimits())
    listener.application = application
    server = await listener.listen("127.0.0.1", 0)
    port = next(iter(server._sockets.values())).getsockname()[1]
    seen: Counter[int] = Counter()
    wrong: list[tuple[int, str, bytes]] = []

    async def send(waiting: list[tuple[str, bytes]]) -> None:
        while waiting:
            method, address = waiting.pop()
            status = await status_of(port, method, address, f"token-of-{who}" if who else "")
            seen[status] += 1
            if status not in range(200, 500):
                wrong.append((status, method, address[:200]))

    waiting = requests_of(patterns)
    await asyncio.gather(*(send(waiting) for _ in range(AT_ONCE)))
    assert wrong == []
    assert seen[400] > 100, seen
    assert seen[404] > 20, seen
    assert await status_of(port, "GET", b"/services/binder/versions", "") == 200, "it still answers"
    assert "_pool" not in HubOAuth.instance()._trait_values, "the hub was asked while the loop stood still"
    server.stop()
    await server.close_all_connections()
