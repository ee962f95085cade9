"""Files from web servers: what is followed, what is not, and over which hosts."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from binderhub_service.clients.download import download
from binderhub_service.common.address_rules import AddressRules
from binderhub_service.errors import BinderError
from tests.harness.web_thread import in_thread

OPEN = AddressRules(public_only=True, exceptions=("127.0.0.1",))
"""The tests' own server is open, everything else of this machine is not."""
LOCATIONS = {
    "/there": "/file",
    "/closed": "http://127.0.0.2:{port}/file",
    "/metadata": "http://169.254.169.254/latest/meta-data",
    "/local": "file:///etc/passwd",
    "/round": "/round",
    "/broken": "http://[",
}


class Server(BaseHTTPRequestHandler):
    """Has one file, half of another, and addresses that lead elsewhere."""

    def do_GET(self) -> None:
        """Answer."""
        if location := LOCATIONS.get(self.path):
            self.send_response(302)
            self.send_header("Location", location.format(port=self.server.server_address[1]))
            self.end_headers()
        elif self.path in {"/file", "/half"}:
            self.send_response(200)
            self.send_header("Content-Length", "4" if self.path == "/file" else "9")
            self.end_headers()
            self.wfile.write(b"data")
        else:
            self.send_error(int(self.path.removeprefix("/")))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    with in_thread(server):
        yield f"http://127.0.0.1:{server.server_port}"


@pytest.mark.parametrize("path", ["/file", "/there"])
def test_a_file_arrives_also_by_a_redirect(url: str, path: str) -> None:
    chunks: list[bytes] = []
    download(url + path, OPEN, chunks.append)
    assert b"".join(chunks) == b"data"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/closed", "address_not_allowed"),
        ("/metadata", "address_not_allowed"),
        ("/local", "archive_unavailable"),
        ("/round", "archive_unavailable"),
        ("/broken", "archive_unavailable"),
        ("/half", "archive_unavailable"),
        ("/404", "archive_not_found"),
        ("/401", "archive_not_found"),
        ("/500", "archive_unavailable"),
    ],
)
def test_what_cannot_or_may_not_be_fetched_is_a_sentence(url: str, path: str, code: str) -> None:
    with pytest.raises(BinderError) as caught:
        download(url + path, OPEN, lambda chunk: None)
    assert caught.value.code == code
    assert caught.value.message.endswith(".")


def test_a_closed_address_is_not_asked(url: str) -> None:
    with pytest.raises(BinderError) as caught:
        download(f"{url}/file", AddressRules(public_only=True), lambda chunk: None)
    assert caught.value.code == "address_not_allowed"
