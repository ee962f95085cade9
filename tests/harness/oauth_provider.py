"""A provider of OAuth logins: everybody who comes is the person that the test says, with that person's groups."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.harness.web_thread import in_thread


class OAuthProvider:
    """Speaks OAuth 2 with codes, as a university's or a forge's login does.

    Args:
        groups: by name, which groups people are in.

    Attributes:
        person: who signs in next.
    """

    def __init__(self, groups: Mapping[str, Sequence[str]]) -> None:
        self.person = ""
        self.client_id, self.client_secret = "the-hub", secrets.token_hex(16)
        self._groups = groups
        self._people: dict[str, str] = {}  # by codes and tokens
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    @property
    def url(self) -> str:
        """Where it is, without a slash at the end."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serve until the block ends."""
        with in_thread(self._server):
            yield

    def authorize(self, query: Mapping[str, str]) -> str:
        """Return where a browser goes on that came to sign in."""
        assert query["client_id"] == self.client_id
        return f"{query['redirect_uri']}?{urlencode({'code': self._proof(self.person), 'state': query['state']})}"

    def token(self, asked: Mapping[str, str], login: str | None) -> dict[str, Any] | None:
        """Return a token for a code, once, to the hub alone."""
        is_hub = login is not None or asked.get("client_secret") == self.client_secret
        person = self._people.pop(asked.get("code", ""), None)
        return {"access_token": self._proof(person), "token_type": "Bearer"} if is_hub and person else None

    def about(self, token: str) -> dict[str, Any] | None:
        """Return what is known of the person with a token."""
        person = self._people.get(token)
        return {"name": person, "groups": list(self._groups[person])} if person else None

    def _proof(self, person: str) -> str:
        proof = secrets.token_urlsafe(16)
        self._people[proof] = person
        return proof

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = urlsplit(self.path)
                if path.path == "/authorize":
                    self.send_response(302)
                    self.send_header("Location", provider.authorize({name: values[0] for name, values in parse_qs(path.query).items()}))
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self._answer(provider.about(self.headers.get("Authorization", "").removeprefix("Bearer ")))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                self._answer(provider.token({name: values[0] for name, values in parse_qs(body).items()}, self.headers.get("Authorization")))

            def _answer(self, value: dict[str, Any] | None) -> None:
                content = json.dumps(value or {"error": "access_denied"}).encode()
                self.send_response(200 if value else 403)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler
