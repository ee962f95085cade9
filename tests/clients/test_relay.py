"""Which hosts git reaches when only public ones, and a few exceptions, may be asked."""

from __future__ import annotations

import select
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from binderhub_service.common.address_rules import AddressRules
from binderhub_service.errors import NotAllowed, NotFound, Unavailable
from binderhub_service.providers.ls_remote import LsRemote
from tests.harness.git_server import Repository

PUBLIC_ONLY = AddressRules(public_only=True)
FIRST_ONLY = AddressRules(public_only=True, exceptions=("127.0.0.1",))
"""The tests' own Git server is open, everything else of this machine is not."""
FREE = "127.0.0.2"


class Counter(socketserver.ThreadingTCPServer):
    """Counts connections, and redirects whatever asks for it to `target`."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, host: str, target: str = "") -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, 0), _Counted)
        self.target = target
        self.count = 0
        self.lock = threading.Lock()
        self.port = self.server_address[1]


class _Counted(socketserver.StreamRequestHandler):
    server: Counter

    def handle(self) -> None:
        with self.server.lock:
            self.server.count += 1
        line = self.rfile.readline().decode()
        if self.server.target:
            place = f"{self.server.target}{line.split()[1]}"
            self.wfile.write(f"HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())


@pytest.fixture
def listen() -> Iterator[Callable[..., Counter]]:
    servers: list[Counter] = []

    def begin(host: str = "127.0.0.1", target: str = "") -> Counter:
        servers.append(Counter(host, target))
        threading.Thread(target=servers[-1].serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return servers[-1]

    yield begin
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """What names mean: the addresses of each answer, one answer after the other; the last one stays."""
    known: dict[str, list[list[str]]] = {}
    real = socket.getaddrinfo

    def look_up(host: Any, port: Any, *arguments: Any, **more: Any) -> Any:
        if host not in known:
            return real(host, port, *arguments, **more)
        answers = known[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    return known


# --- a person's address --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "[::ffff:127.0.0.1]", "LOCALHOST"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_no_spelling_of_a_closed_address_is_connected_to(listen: Callable[..., Counter], scheme: str, host: str) -> None:
    listener = listen()
    with pytest.raises(NotAllowed, match="not on the public internet") as caught:
        await LsRemote(20, rules=PUBLIC_ONLY).commit_of(f"{scheme}://{host}:{listener.port}/o/r", "main")
    assert (caught.value.status, caught.value.code) == (403, "address_not_allowed")
    assert listener.count == 0
    with pytest.raises((NotFound, Unavailable)):
        await LsRemote(20).commit_of(f"{scheme}://{host}:{listener.port}/o/r", "main")
    assert listener.count > 0, "the test would see a connection"


@pytest.mark.parametrize("scheme", ["ssh", "git", "file", "ext"])
async def test_an_address_that_cannot_be_checked_is_not_asked(listen: Callable[..., Counter], scheme: str) -> None:
    listener = listen()
    with pytest.raises(NotAllowed, match="may not be asked here") as caught:
        await LsRemote(20, rules=FIRST_ONLY).commit_of(f"{scheme}://127.0.0.1:{listener.port}/o/r", "main")
    assert (caught.value.code, listener.count) == ("address_not_allowed", 0)


async def test_a_name_is_closed_if_one_of_its_addresses_is(listen: Callable[..., Counter], names: dict[str, list[list[str]]]) -> None:
    listener = listen()
    names["both.example"] = [["93.184.215.14", "127.0.0.1"]]
    with pytest.raises(NotAllowed, match=r"the host both\.example is not on the public internet") as caught:
        await LsRemote(20, rules=PUBLIC_ONLY).commit_of(f"http://both.example:{listener.port}/o/r", "main")
    assert "127.0.0.1" not in str(caught.value)
    assert listener.count == 0


async def test_a_name_that_means_another_address_a_moment_later_leads_to_the_one_that_was_checked(
    listen: Callable[..., Counter], names: dict[str, list[list[str]]]
) -> None:
    checked = listen("127.0.0.1")
    names["rebinding.example"] = [["127.0.0.1"], [FREE]]
    with pytest.raises((NotFound, Unavailable)):
        await LsRemote(20, rules=FIRST_ONLY).commit_of(f"http://rebinding.example:{checked.port}/o/r", "main")
    assert checked.count == 1
    with pytest.raises(NotAllowed):
        await LsRemote(20, rules=FIRST_ONLY).commit_of(f"http://rebinding.example:{checked.port}/o/r", "main")
    assert checked.count == 1


async def test_a_redirect_into_a_closed_network_is_not_followed(listen: Callable[..., Counter]) -> None:
    inside = listen(FREE)
    outside = listen("127.0.0.1", target=f"http://{FREE}:{inside.port}")
    with pytest.raises(NotAllowed, match=f"the host {FREE} is not on the public internet"):
        await LsRemote(20, rules=FIRST_ONLY).commit_of(f"http://127.0.0.1:{outside.port}/o/r", "main")
    assert (outside.count, inside.count) == (1, 0)


async def test_a_redirect_to_another_open_host_is_followed(listen: Callable[..., Counter], new_repository: Callable[..., Repository]) -> None:
    repository = new_repository({"a": "b"})
    outside = listen(FREE, target=repository.url.rpartition("/")[0].rpartition("/")[0])
    rules = AddressRules(public_only=True, exceptions=("127.0.0.0/8",))
    path = "/".join(repository.url.rsplit("/", 2)[1:])
    assert await LsRemote(20, rules=rules).commit_of(f"http://{FREE}:{outside.port}/{path}", "main") == repository.rev("main")


async def test_an_excepted_host_is_asked(new_repository: Callable[..., Repository]) -> None:
    repository = new_repository({"a": "b"})
    for exception in ("127.0.0.1", "127.0.0.0/8"):
        rules = AddressRules(public_only=True, exceptions=(exception,))
        assert await LsRemote(20, rules=rules).commit_of(repository.url, "main") == repository.rev("main")


async def test_a_host_that_is_not_there_is_no_closed_one(names: dict[str, list[list[str]]]) -> None:
    with pytest.raises(Unavailable, match="Could not resolve host"):
        await LsRemote(20, rules=PUBLIC_ONLY).commit_of("http://nowhere.invalid/o/r", "main")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(Unavailable, match="Connection refused"):
            await LsRemote(20, rules=FIRST_ONLY).commit_of(f"http://127.0.0.1:{closed.getsockname()[1]}/o/r", "main")


async def test_no_variable_of_the_environment_leads_around_the_rules(listen: Callable[..., Counter], monkeypatch: pytest.MonkeyPatch) -> None:
    listener = listen()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    with pytest.raises(NotAllowed):
        await LsRemote(20, rules=PUBLIC_ONLY).commit_of(f"http://127.0.0.1:{listener.port}/o/r", "main")
    assert listener.count == 0


# --- by a proxy ----------------------------------------------------------------------------------------------------------


class _Proxy(socketserver.StreamRequestHandler):
    """An HTTP proxy that knows one host more than this machine."""

    server: Any

    def handle(self) -> None:
        line = self.rfile.readline().decode()
        headers = b"".join(iter(self.rfile.readline, b"\r\n")).decode()
        self.server.asked.append((line.split()[1], "Basic bWU6cyFjcmV0" in headers))
        with socket.create_connection(self.server.target) as target:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            other_end = {self.connection: target, target: self.connection}
            while True:
                for ready in select.select(list(other_end), [], [])[0]:
                    if not (chunk := ready.recv(65536)):
                        return
                    other_end[ready].sendall(chunk)


async def test_a_proxy_of_the_environment_is_used_and_gets_no_closed_address(
    new_repository: Callable[..., Repository], monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = new_repository({"a": "b"})
    host, _, port = repository.url.split("/")[2].partition(":")
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Proxy) as proxy:
        proxy.daemon_threads = True
        proxy.asked, proxy.target = [], (host, int(port))  # type: ignore[attr-defined]
        threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        monkeypatch.setenv("http_proxy", f"http://me:s%21cret@127.0.0.1:{proxy.server_address[1]}")
        git = LsRemote(20, rules=PUBLIC_ONLY)
        elsewhere = repository.url.replace(host, "known-to-the-proxy.invalid")
        assert await git.commit_of(elsewhere, "main") == repository.rev("main")
        assert set(proxy.asked) == {(f"known-to-the-proxy.invalid:{port}", True)}  # type: ignore[attr-defined]
        proxy.asked.clear()  # type: ignore[attr-defined]
        with pytest.raises(NotAllowed):
            await git.commit_of("http://169.254.169.254/latest/meta-data", "main")
        assert proxy.asked == []  # type: ignore[attr-defined]
        proxy.shutdown()
