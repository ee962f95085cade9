"""What the server takes from anybody, and what it says while there is no application."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import httpx
import psutil
import pytest
from tornado import web
from traitlets import TraitError

from binderhub_service.common.authority import bracketed
from binderhub_service.errors import NotFound, Unavailable
from binderhub_service.process.receiving import ServerLimits
from binderhub_service.process.server import BoundedServer
from binderhub_service.process.state_lock import HubProcess, StateLock
from binderhub_service.process.tasks import Tasks
from binderhub_service.settings import Server
from tests.harness.ports import free_ports, has_ipv6
from tests.harness.waiting import in_time, until, within

PREFIX = "/services/binder/"
LIMITS = ServerLimits(body_bytes=1000, body_seconds=60, header_bytes=4096, idle_seconds=1)
MEGABYTE = 1024 * 1024


class Echo(web.RequestHandler):
    """Answers with the length of what it got."""

    async def post(self) -> None:
        self.finish(str(len(self.request.body)))


class Client(web.RequestHandler):
    """Answers with the address of who asks."""

    def get(self) -> None:
        self.finish(f"{self.request.remote_ip} {self.request.protocol}")


@asynccontextmanager
async def serving(listener: BoundedServer) -> AsyncIterator[str]:
    """Serve on loopback; yield the address."""
    server = await listener.listen("127.0.0.1", 0)
    port = next(iter(server._sockets.values())).getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()
        await server.close_all_connections()


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """A server with an application."""
    listener = BoundedServer(PREFIX, LIMITS)
    listener.application = web.Application([(r"/.*", Echo)])
    async with serving(listener) as address:
        yield address


async def chunks(count: int, size: int) -> AsyncIterator[bytes]:
    """Yield a body piece by piece, so that its length is not announced."""
    for _ in range(count):
        yield b"x" * size


async def test_a_body_of_the_allowed_size_arrives(url: str) -> None:
    async with httpx.AsyncClient() as client:
        assert (await client.post(url, content=b"x" * 1000)).text == "1000"
        assert (await client.post(url, content=chunks(10, 100))).text == "1000"


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_that_is_too_large_is_refused_in_a_sentence(url: str, announced: bool) -> None:
    async with httpx.AsyncClient() as client:
        reply = await client.post(url, content=b"x" * 1001 if announced else chunks(11, 100))
        assert reply.status_code == 413
        assert reply.json()["error"]["code"] == "body_too_large"
        assert "1000 bytes" in reply.json()["error"]["message"]
        assert (await client.post(url, content=b"x")).text == "1", "the connection can be used again"


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_of_any_size_is_refused_in_a_sentence(url: str, announced: bool) -> None:
    """Tornado itself answers a bare 400 to more than 100 MB."""
    headers = {"Content-Length": str(120 * MEGABYTE)} if announced else {}
    async with httpx.AsyncClient(timeout=60) as client:
        reply = await client.post(url, content=chunks(120, MEGABYTE), headers=headers)
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "body_too_large")


async def test_who_asks_before_sending_much_is_refused_at_once(url: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n")
    async with within():
        answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"body_too_large" in answer
    assert b"100 (Continue)" not in answer


async def test_many_large_bodies_take_no_memory(url: str) -> None:
    before = psutil.Process().memory_info().rss
    async with httpx.AsyncClient(timeout=60) as client:
        replies = await asyncio.gather(*(client.post(url, content=chunks(95, MEGABYTE)) for _ in range(8)), return_exceptions=True)
    assert {reply.status_code for reply in replies if isinstance(reply, httpx.Response)} <= {413}
    assert psutil.Process().memory_info().rss - before < 60 * MEGABYTE


@pytest.mark.parametrize(
    "sent",
    [
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: h\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 5000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 999999999999\r\n\r\nx",
    ],
    ids=["slow body", "slow headers", "large headers", "endless body"],
)
async def test_who_sends_slowly_or_too_much_is_cut_off(sent: bytes) -> None:
    async with serving(BoundedServer(PREFIX, replace(LIMITS, body_seconds=5))) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(sent)
        async with asyncio.timeout(LIMITS.body_seconds):  # less than by the usual limits
            await reader.read()
        writer.close()


async def test_without_an_application_the_reason_is_said_and_the_process_is_alive() -> None:
    listener = BoundedServer(PREFIX, LIMITS)
    listener.wait_because("The <other> service is still there.")
    async with serving(listener) as url, httpx.AsyncClient(base_url=url) as client:
        reply = await client.post(f"{PREFIX}api/builds", json={})
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "service_starting")
        assert reply.json()["error"]["message"] == "The <other> service is still there."
        assert int(reply.headers["Retry-After"]) > 0
        page = await client.get(PREFIX, headers={"Accept": "text/html", "X-Forwarded-For": "203.0.113.7"})
        assert page.status_code == 503
        assert "The &lt;other&gt; service is still there." in page.text
        assert (await client.head(f"{PREFIX}health")).status_code == 503
        assert (await client.get(f"{PREFIX}versions")).status_code == 200
        listener.application = web.Application([(r"/.*", Echo)])
        assert (await client.post(f"{PREFIX}api/builds", content=b"xx")).text == "2"


async def test_the_hub_itself_which_ends_at_a_service_that_fails_hears_that_this_one_is_there() -> None:
    listener = BoundedServer(PREFIX, LIMITS)
    async with serving(listener) as url, httpx.AsyncClient(base_url=url) as client:
        assert (await client.get(PREFIX)).status_code == 200
        assert (await client.get(f"{PREFIX}builds/")).status_code == 503


async def test_other_limits_take_the_place_of_the_first_ones_and_no_connection_is_refused() -> None:
    listener = BoundedServer(PREFIX, ServerLimits())
    listener.application = web.Application([(r"/.*", Echo)])
    first = await listener.listen("127.0.0.1", 0)
    address, port = next(iter(first._sockets.values())).getsockname()
    url = f"http://{address}:{port}/"
    async with httpx.AsyncClient() as before, httpx.AsyncClient() as after:
        assert (await before.post(url, headers={"X-Large": "x" * LIMITS.header_bytes})).status_code == 200
        second = listener.renewed(first, LIMITS)
        assert (await before.post(url, content=b"xx")).text == "2"
        assert (await after.post(url, content=b"xx")).text == "2"
        with pytest.raises(httpx.TransportError):
            await after.post(url, headers={"X-Large": "x" * LIMITS.header_bytes})
    second.stop()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(address, port)


async def test_a_port_that_is_taken_is_waited_for() -> None:
    other = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    listener = BoundedServer(PREFIX, LIMITS)
    listening = asyncio.create_task(listener.listen("127.0.0.1", port))
    await until(lambda: str(port) in listener.reason, "the reason")
    other.close()
    await other.wait_closed()
    server = await in_time(listening)
    server.stop()


# One service for a state


async def test_one_service_has_the_state_and_the_next_one_takes_over(tmp_path: Path) -> None:
    one, two = StateLock(tmp_path / "lock"), StateLock(tmp_path / "lock")
    await one.take()
    with pytest.raises(Unavailable, match="Another service"):
        await two.take()
    listener = BoundedServer(PREFIX, LIMITS)
    waiting = asyncio.create_task(listener.when_available(two.take))
    await until(lambda: "Another service" in listener.reason, "the reason")
    one.release()
    await in_time(waiting)
    two.release()


async def test_a_lock_that_cannot_be_made_is_waited_for(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="No such file"):
        await StateLock(tmp_path / "nowhere" / "lock").take()


async def test_a_hub_that_has_ended_is_gone() -> None:
    process = await asyncio.create_subprocess_exec("sleep", "60")
    hub = HubProcess(process.pid)
    assert not hub.is_gone()
    process.kill()
    await process.wait()
    assert hub.is_gone()
    assert HubProcess(process.pid).is_gone()
    assert not HubProcess(0).is_gone()
    assert not HubProcess(os.getpid()).is_gone()


# Long-lived tasks


async def test_work_that_meets_an_unknown_error_is_done_again(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []

    async def work() -> None:
        calls.append(1)
        raise json.JSONDecodeError("not JSON", "<html>", 0) if len(calls) == 1 else NotFound("not there")

    tasks = Tasks()
    tasks.repeat("cleaner", 0.01, work)
    await until(lambda: len(calls) >= 3, "three times")
    await tasks.check()
    await tasks.close()
    assert "JSONDecodeError" in caplog.text
    assert "not there" in caplog.text
    assert tasks.ended == []


async def test_a_task_that_has_ended_is_known(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("nobody expected this")

    tasks = Tasks()
    tasks.start("watch", fail())
    await until(lambda: tasks.ended, "the end")
    with pytest.raises(Unavailable, match="watch"):
        await tasks.check()
    assert "nobody expected this" in caplog.text
    await tasks.close()


# Whose request it is

FORWARDED = {
    "nothing": ({}, "127.0.0.1"),
    "the hub's proxy": ({"X-Forwarded-For": "203.0.113.7"}, "203.0.113.7"),
    "what a client wrote before it": ({"X-Forwarded-For": "198.51.100.1, 203.0.113.7"}, "203.0.113.7"),
    "a header that no proxy replaces": ({"X-Forwarded-For": "203.0.113.7", "X-Real-Ip": "198.51.100.1"}, "203.0.113.7"),
    "a trusted proxy": ({"X-Forwarded-For": "198.51.100.1, 203.0.113.7, 10.0.0.9"}, "203.0.113.7"),
    "trusted proxies alone": ({"X-Forwarded-For": "10.0.0.8, 10.0.0.9"}, "10.0.0.8"),
    "nonsense": ({"X-Forwarded-For": "203.0.113.7, <b>"}, "127.0.0.1"),
    "an address of version 6": ({"X-Forwarded-For": "2001:db8::7"}, "2001:db8::7"),
    "version 4 in version 6": ({"X-Forwarded-For": "203.0.113.7, ::ffff:10.0.0.9"}, "203.0.113.7"),
}


@pytest.mark.parametrize("case", FORWARDED)
async def test_a_client_has_the_address_that_the_hubs_proxy_saw_whatever_it_says_itself(case: str) -> None:
    headers, address = FORWARDED[case]
    listener = BoundedServer(PREFIX, replace(LIMITS, trusted_proxies=(ip_network("10.0.0.0/8"),)))
    listener.application = web.Application([(r"/.*", Client)])
    async with serving(listener) as url, httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(url, headers=headers)).text == f"{address} http"


@pytest.mark.parametrize("case", FORWARDED)
async def test_where_there_is_no_proxy_nothing_that_a_client_says_is_its_address(case: str) -> None:
    listener = BoundedServer("/", LIMITS, is_behind_proxy=False)
    listener.application = web.Application([(r"/.*", Client)])
    async with serving(listener) as url, httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(url, headers=FORWARDED[case][0])).text == "127.0.0.1 http"


def test_a_proxy_that_is_no_network_is_refused() -> None:
    with pytest.raises(TraitError, match="trusted_proxies"):
        Server(trusted_proxies=["10.0.0.1/8"])
    assert Server(trusted_proxies=["10.0.0.0/8"]).limits().trusted_proxies == (ip_network("10.0.0.0/8"),)


@pytest.mark.parametrize("address", ["", "127.0.0.1", *(["::", "::1"] if has_ipv6() else [])])
async def test_a_server_listens_at_every_kind_of_address_and_knows_who_asks(address: str) -> None:
    hosts = [host for host in ("127.0.0.1", "::1") if address in ("", host) or (address == "::" and host == "::1")]
    listener = BoundedServer(PREFIX, LIMITS)
    listener.application = web.Application([(r"/.*", Client)])
    server = listener.renewed(await listener.listen(address, free_ports(1)[0]), LIMITS)
    port = next(iter(server._sockets.values())).getsockname()[1]
    async with httpx.AsyncClient(trust_env=False) as client:
        for host in hosts if has_ipv6() else ["127.0.0.1"]:
            reply = await client.get(f"http://{bracketed(host)}:{port}{PREFIX}")
            assert reply.text == f"{host} http", "an address of IPv4 is not spelt as one of IPv6"
    server.stop()
    await server.close_all_connections()
