"""As much of a hub as the service needs when it runs alone: who comes with which token."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "token-of-alice"
_SCOPES = ["access:services!service=binder", "custom:binder:build"]
_ALICE = {"kind": "user", "name": "alice", "admin": False, "groups": [], "scopes": _SCOPES, "session_id": None}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path.split("?")[0].endswith("/user"):
            known = self.headers.get("Authorization", "").endswith(f" {TOKEN}")
            self._reply(200 if known else 403, _ALICE if known else {"status": 403, "message": "Forbidden"})
        elif self.path.endswith("/users/alice"):
            self._reply(200, {"kind": "user", "name": "alice", "created": "2020-01-01T00:00:00.000001Z"})
        else:
            self._reply(200, {"version": "6.1.1"})

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _reply(self, status: int, value: object) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def running() -> Iterator[str]:
    """Answer on loopback while the block runs; give the address of the REST API."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hub/api"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
