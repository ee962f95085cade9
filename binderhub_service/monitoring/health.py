"""Does everything answer that the service needs? Asked together, tried again, kept for some seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPClientError

from ..builds.launch_quota import LaunchLimits
from ..errors import BinderError, Unavailable

Check = Callable[[], Awaitable[None]]
_TRIES = 3
_HUB_SECONDS = 3.0
_NO_FAILURE = {"_ignore_failure": True}  # as BinderHub marks an entry that does not count


class Health:
    """Knows what does not answer; the answer has BinderHub's form.

    Args:
        checks: by name, what raises `BinderError` when something does not answer.
        advice: by name, what raises `BinderError` when something is to be mended without which the service works; the answer stays ``ok``.
        quota: how many servers there may be; the entry ``Pod quota`` is there if that is bounded.
        servers: counts the servers that there are; with `quota`.
        builds: how many builds run; with `quota`.
        kept_seconds: for how long an answer is kept.
        pause_seconds: between two tries of a check.
    """

    def __init__(
        self,
        checks: Mapping[str, Check],
        *,
        advice: Mapping[str, Check] = MappingProxyType({}),
        quota: LaunchLimits = LaunchLimits(),  # noqa: B008  # frozen
        servers: Callable[[], Awaitable[int]] | None = None,
        builds: Callable[[], int] = lambda: 0,
        kept_seconds: float = 5.0,
        pause_seconds: float = 1.0,
    ) -> None:
        self._checks = checks
        self._advice = advice
        self._quota = quota
        self._servers = servers
        self._builds = builds
        self._kept_seconds = kept_seconds
        self._pause_seconds = pause_seconds
        self._known: tuple[float, dict[str, Any]] = (float("-inf"), {})
        self._asking: asyncio.Task[dict[str, Any]] | None = None

    async def report(self) -> dict[str, Any]:
        """Return ``ok`` and one entry a check; those who ask at a time share one answer."""
        made, report = self._known
        if time.monotonic() - made < self._kept_seconds:
            return report
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
            self._asking.add_done_callback(self._answered)
        return await asyncio.shield(self._asking)

    def _answered(self, task: asyncio.Task[dict[str, Any]]) -> None:
        self._asking = None
        if not task.cancelled() and task.exception() is None:
            self._known = (time.monotonic(), task.result())

    async def _ask(self) -> dict[str, Any]:
        entries = await asyncio.gather(*(self._entry(name, check) for name, check in self._checks.items()))
        advice = [await self._entry(name, check) | _NO_FAILURE for name, check in self._advice.items()]
        counted = [await self._quota_entry(self._servers)] if self._servers and self._quota.total is not None else []
        return {"ok": all(entry["ok"] for entry in entries), "checks": [*entries, *advice, *counted]}

    async def _entry(self, name: str, check: Check) -> dict[str, Any]:
        for left in reversed(range(_TRIES)):
            try:
                await check()
            except BinderError as error:
                if not left:
                    return {"service": name, "ok": False, "message": error.message}
                await asyncio.sleep(self._pause_seconds)
            else:
                break
        return {"service": name, "ok": True}

    async def _quota_entry(self, servers: Callable[[], Awaitable[int]]) -> dict[str, Any]:
        """Return BinderHub's entry about places; taken places are no failure of the service."""
        entry: dict[str, Any] = {"service": "Pod quota", "quota": self._quota.total} | _NO_FAILURE
        try:
            users, builds = await servers(), self._builds()
        except Unavailable as error:
            return entry | {"ok": False, "message": error.message}
        total = users + builds
        return entry | {"total_pods": total, "build_pods": builds, "user_pods": users, "ok": total <= (self._quota.total or 0)}


async def check_hub(api_url: str) -> None:
    """Raise `Unavailable` unless the hub answers."""
    try:
        await AsyncHTTPClient().fetch(f"{api_url}/", request_timeout=_HUB_SECONDS)
    except (HTTPClientError, OSError) as error:
        raise Unavailable("The hub did not answer.", code="hub_unavailable") from error
