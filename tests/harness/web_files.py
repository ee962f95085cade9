"""A web server with some files, on loopback."""

from __future__ import annotations

import http.server
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.harness.web_thread import in_thread

NOTHING_MOVED: Mapping[str, str] = {}


@contextmanager
def serving(files: Mapping[str, bytes], moved: Mapping[str, str] = NOTHING_MOVED) -> Iterator[str]:
    """Serve files by path, and redirects; give the server's address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302 if self.path in moved else 200 if self.path in files else 404)
            self.send_header("Location", moved.get(self.path, "/"))
            self.end_headers()
            self.wfile.write(files.get(self.path, b""))

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with in_thread(server):
        yield f"http://127.0.0.1:{server.server_port}"
