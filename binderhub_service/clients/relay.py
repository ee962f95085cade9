"""The way that git takes to servers when not every address is open: a SOCKS 5 proxy on loopback (RFC 1928) that connects to allowed addresses only.

The relay itself looks a host's name up, checks every address of the answer, and connects to what it has checked. So it does not matter
whether git asks for an address that a person gave, an address that a server redirected it to, or a submodule's, nor whether a name means another
address a moment later.
"""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from ..common.address_rules import AddressRules

_CONNECT_SECONDS = 15.0
_CHUNK_BYTES = 64 * 1024
_LONGEST_ANSWER_BYTES = 16 * 1024
_USUAL_PROXY_PORT = 1080  # curl's
_HTTPS = 443
_VERSION, _NO_LOGIN, _CONNECT = 5, 0, 1
_ADDRESS_BYTES = {1: (socket.AF_INET, 4), 4: (socket.AF_INET6, 16)}
_DONE, _REFUSED, _UNREACHABLE = 0, 2, 4
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9.:_-]")


class Relay(socketserver.ThreadingTCPServer):
    """Lets git reach the hosts that the rules allow, by an HTTP proxy where the environment names one for them.

    A proxy may know names that this machine does not; such names are left to its own rules.

    Attributes:
        refused: the hosts that were not allowed, in order.
        problem: why the last host could not be reached, in git's words; empty if all could.
    """

    daemon_threads = True
    request_queue_size = 32

    def __init__(self, rules: AddressRules) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.rules = rules
        self.refused: list[str] = []
        self.problem = ""

    @property
    def git_options(self) -> tuple[str, ...]:
        """Options with which git takes this way, in an environment that `git_environment` made for web addresses only."""
        return ("-c", f"http.proxy=socks5h://127.0.0.1:{self.server_address[1]}")


@contextlib.contextmanager
def relaying(rules: AddressRules) -> Iterator[Relay]:
    """Run a relay while the block runs."""
    with Relay(rules) as relay:
        thread = threading.Thread(target=relay.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield relay
        finally:
            relay.shutdown()
            thread.join()


def connection_to(rules: AddressRules, host: str, port: int) -> socket.socket:
    """Return a connection to a host, by an HTTP proxy where the environment names one for it.

    Raises:
        PermissionError: the rules do not allow it.
        OSError: it cannot be reached.
    """
    proxy = _proxy_for(host, port)
    addresses = allowed_addresses(rules, host, port)
    if proxy:
        return _connection_by(proxy, host, port)
    if not addresses:
        raise OSError(f"Could not resolve host: {host}")
    return _connection_to_one_of(addresses, port)


def allowed_addresses(rules: AddressRules, host: str, port: int) -> list[str]:
    """Return a host's addresses; none if this machine does not know the name. Raises `PermissionError` if the rules do not allow it."""
    try:
        addresses = list(dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
    except (OSError, UnicodeError):
        return []
    if not all(rules.allow(host, address) for address in addresses):
        raise PermissionError
    return addresses


class _Handler(socketserver.StreamRequestHandler):
    """One connection of git's."""

    server: Relay
    timeout = _CONNECT_SECONDS

    def handle(self) -> None:
        """Serve; that git goes away in the middle is no error."""
        with contextlib.suppress(OSError):
            self._serve()

    def _serve(self) -> None:
        """Take the request for a connection, make it, and carry bytes in both directions until both sides have ended."""
        asked = self._asked()
        if asked is None:
            return
        host, port = asked
        try:
            connection = connection_to(self.server.rules, host, port)
        except PermissionError:
            self.server.refused.append(host)
            self._answer(_REFUSED)
        except OSError as error:
            self.server.problem = str(error)
            self._answer(_UNREACHABLE)
        else:
            with connection:
                self._answer(_DONE)
                self.connection.settimeout(None)
                connection.settimeout(None)
                back = threading.Thread(target=_copy, args=(connection, self.connection), daemon=True)
                back.start()
                _copy(self.connection, connection)
                back.join()

    def _asked(self) -> tuple[str, int] | None:
        """Return the host and the port that are asked for; None if it is not SOCKS 5, or something else than a connection."""
        version, methods = self._read(2)
        self._read(methods)
        self.wfile.write(bytes([_VERSION, _NO_LOGIN]))
        _, command, _, kind = self._read(4)
        if kind in _ADDRESS_BYTES:
            family, length = _ADDRESS_BYTES[kind]
            host = socket.inet_ntop(family, self._read(length))
        else:
            host = self._read(self._read(1)[0]).decode(errors="replace")
        port = int.from_bytes(self._read(2), "big")
        return (_NOT_IN_NAMES.sub("?", host), port) if (version, command) == (_VERSION, _CONNECT) else None

    def _read(self, count: int) -> bytes:
        found = self.rfile.read(count)
        if len(found) < count:
            raise ConnectionError("git went away")
        return found

    def _answer(self, status: int) -> None:
        self.wfile.write(bytes([_VERSION, status, 0, 1, *[0] * 6]))


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Carry bytes until there are no more, and say so to the other side."""
    with contextlib.suppress(OSError):
        while chunk := source.recv(_CHUNK_BYTES):
            target.sendall(chunk)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _connection_to_one_of(addresses: list[str], port: int) -> socket.socket:
    failure = OSError("Connection refused")
    for address in addresses:
        try:
            return socket.create_connection((address, port), _CONNECT_SECONDS)
        except TimeoutError:
            failure = OSError("Connection timed out")
        except OSError as error:
            failure = OSError(error.strerror or "Connection refused")
    raise failure


def _proxy_for(host: str, port: int) -> SplitResult | None:
    proxies = getproxies_environment()
    if not proxies or proxy_bypass(f"{host}:{port}"):
        return None
    proxy = proxies.get("https" if port == _HTTPS else "http") or proxies.get("all")
    return urlsplit(proxy if "://" in proxy else f"http://{proxy}") if proxy else None


def _connection_by(proxy: SplitResult, host: str, port: int) -> socket.socket:
    """Return a connection that an HTTP proxy makes (RFC 9110, section 9.3.6)."""
    connection = socket.create_connection((proxy.hostname or "", proxy.port or _USUAL_PROXY_PORT), _CONNECT_SECONDS)
    try:
        if proxy.scheme == "https":
            connection = ssl.create_default_context().wrap_socket(connection, server_hostname=proxy.hostname)
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        login = f"Proxy-Authorization: Basic {_login_of(proxy)}\r\n" if proxy.username else ""
        connection.sendall(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{login}\r\n".encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += (byte := connection.recv(1))
            if not byte or len(answer) > _LONGEST_ANSWER_BYTES:
                raise ConnectionError("unexpected disconnect")
        if not re.match(rb"HTTP/1\.[01] 2\d\d", answer):
            raise ConnectionError("Connection refused")
    except OSError:
        connection.close()
        raise
    return connection


def _login_of(proxy: SplitResult) -> str:
    return base64.b64encode(f"{unquote(proxy.username or '')}:{unquote(proxy.password or '')}".encode()).decode()
