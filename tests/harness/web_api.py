"""An HTTP API that answers as it was told; for what is outside of this machine and documented."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tornado import web

from tests.fake_hub import serving


@dataclass
class Answer:
    """An answer of the API; with an ETag it is not sent again to a client that has it."""

    value: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class WebApiServer:
    """The API.

    Attributes:
        answers: by raw path; what is not there answers 404.
        asked: the raw paths and the headers of all questions, oldest first.
        refusal: answered instead of everything else, if there is one.
    """

    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    refusal: Answer | None = None
    url: str = ""

    @property
    def paths(self) -> list[str]:
        """The raw paths that were asked for, oldest first."""
        return [path for path, _ in self.asked]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[WebApiServer]:
        """Answer on loopback while the block runs."""
        async with serving(web.Application([(r".*", _Handler, {"api": self})])) as url:
            self.url = url
            yield self


class _Handler(web.RequestHandler):
    def initialize(self, api: WebApiServer) -> None:
        self.api = api

    def get(self) -> None:
        """Answer."""
        self.api.asked.append((self.request.uri or "", dict(self.request.headers)))
        missing = Answer({"message": "Not Found"}, 404)
        answer = self.api.refusal or self.api.answers.get(self.request.uri or "", missing)
        for name, value in answer.headers.items():
            self.set_header(name, value)
        known = self.request.headers.get("If-None-Match")
        if known and known == answer.headers.get("ETag"):
            self.set_status(304)
            self.finish()
            return
        self.set_status(answer.status)
        self.finish(answer.value if isinstance(answer.value, str) else json.dumps(answer.value))

    def compute_etag(self) -> None:
        """Leave ETags to the answers."""
