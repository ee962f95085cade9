"""A client of BinderHub's ``/build``, for whatever answers there: ours, BinderHub, and others."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

_SECONDS = 900.0
_LOOK_EVERY_SECONDS = 0.05


@dataclass(frozen=True)
class Launched:
    """A launch that has ended.

    Attributes:
        built_seconds: from the ask until the image was told to be there; 0 if it never was.
        answer_seconds: from the ask until the server answered; 0 if it never did.
        url, token: of the server; empty if there is none.
        problem: why there is none; empty if nothing went wrong.
    """

    built_seconds: float = 0.0
    answer_seconds: float = 0.0
    url: str = ""
    token: str = ""
    problem: str = ""

    def shut_down(self) -> None:
        """Let the server end itself, by the API that Jupyter's servers have; what does not answer any more has ended."""
        if self.url:
            try:
                httpx.post(f"{self.url}api/shutdown", headers={"Authorization": f"token {self.token}"}, timeout=30)
            except httpx.TransportError:
                return


class Site:
    """An address below which ``build/...`` is answered.

    Args:
        url: e.g. ``http://127.0.0.1:8000/services/binder/``.
        token: sent with every ask; empty for visitors.
    """

    def __init__(self, url: str, token: str = "") -> None:
        self._url = url.rstrip("/")
        self._headers = {"Accept": "text/event-stream"} | ({"Authorization": f"Bearer {token}"} if token else {})

    def launch(self, repository: str, ref: str, *, allow_failure: bool = False) -> Launched:
        """Ask for a server of a repository, and wait until it answers.

        Args:
            allow_failure: whether a launch that fails is returned, with its problem; else it raises.

        Raises:
            RuntimeError: it fails.
        """
        begun, built = time.perf_counter(), 0.0
        ready: dict[str, Any] = {}
        address = f"{self._url}/build/git/{quote(repository, safe='')}/{quote(ref, safe='')}"
        # Each visitor has no cookie yet, and so is somebody of their own.
        with httpx.Client(timeout=_SECONDS, trust_env=False) as client, client.stream("GET", address, headers=self._headers) as answer:
            for line in answer.iter_lines():
                if not line.startswith("data:"):
                    continue
                event = json.loads(line.removeprefix("data:"))
                if event.get("phase") == "built":
                    built = time.perf_counter() - begun
                if event.get("phase") in {"ready", "failed"}:
                    ready = event
                    break
        if ready.get("phase") != "ready":
            problem = str(ready.get("message") or f"the stream ended; status {answer.status_code}").strip()
            if not allow_failure:
                raise RuntimeError(f"{self._url} does not launch {repository}: {problem}")
            return Launched(built, problem=problem)
        launched = Launched(built, url=str(ready["url"]), token=str(ready.get("token") or ""))
        self._wait_for(launched)
        return Launched(built, time.perf_counter() - begun, launched.url, launched.token)

    def _wait_for(self, launched: Launched) -> None:
        """Return when a server answers; raises `TimeoutError`."""
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            try:
                reply = httpx.get(f"{launched.url}api/status", headers={"Authorization": f"token {launched.token}"}, timeout=30, trust_env=False)
                if reply.is_success:
                    return
            except httpx.TransportError:
                pass
            time.sleep(_LOOK_EVERY_SECONDS)
        raise TimeoutError(f"{launched.url} does not answer")
