"""Which commit does a request mean? Equal questions share one answer, and there is a bound on how many are asked at a time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from ..errors import TooMany, Unavailable
from ..models import Request, Source
from ..providers import Provider, check_permitted, provider_for
from .limits import BuildLimits

_RETRY_WAITS_SECONDS = (0.5, 1.5)
_RETRY_AFTER_SECONDS = 10


class Resolver:
    """Asks providers for commits.

    A question counts from its first try to the end of its last one, for the person who asked it first, even if that person
    does not wait any more.

    Args:
        providers: the most specific one is asked.
        limits: how many questions there may be at a time.
    """

    def __init__(self, providers: Sequence[Provider], limits: BuildLimits) -> None:
        self._providers = providers
        self._limits = limits
        self._tasks: dict[Request, asyncio.Task[Source]] = {}
        self._by_person: Counter[str] = Counter()
        self._closing = False

    async def resolve(self, request: Request, person: str) -> Source:
        """Return the commit that a request means; equal requests that come meanwhile wait for the same answer.

        Raises:
            NotAllowed: the operator does not let the repository be used.
            TooMany: the person, or all together, have as many questions open as there may be.
            InvalidRequest, NotFound, Unavailable: from the provider.
        """
        if self._closing:
            raise _stopping()
        check_permitted(request, self._providers)
        task = self._tasks.get(request)
        if task is None:
            self._check_may_ask(person)
            task = self._begin(request, person)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if self._closing and task.cancelled():
                raise _stopping() from None
            raise

    async def close(self) -> None:
        """Give up all questions; their requesters hear that the service stops."""
        self._closing = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _check_may_ask(self, person: str) -> None:
        most, most_of_one = self._limits.resolving, self._limits.resolving_per_user
        if most_of_one and self._by_person[person] >= most_of_one:
            raise TooMany(
                f"{most_of_one} Git servers that you asked about have not answered yet, which is as many as one person may wait for.",
                code="too_many_requests",
                hint="Wait until they have answered, then ask again.",
                retry_after_seconds=_RETRY_AFTER_SECONDS,
            )
        if most and len(self._tasks) >= most:
            raise TooMany(
                f"{most} Git servers that people asked about have not answered yet, which is as many as this service waits for.",
                code="too_many_requests",
                hint="Ask again in a moment.",
                retry_after_seconds=_RETRY_AFTER_SECONDS,
            )

    def _begin(self, request: Request, person: str) -> asyncio.Task[Source]:
        def ended(task: asyncio.Task[Source]) -> None:
            del self._tasks[request]
            self._by_person -= Counter({person: 1})  # drops the person at 0
            if not task.cancelled():
                task.exception()  # seen, even if nobody waits for the answer any more

        task = asyncio.create_task(self._ask(request))
        self._tasks[request] = task
        self._by_person[person] += 1
        task.add_done_callback(ended)
        return task

    async def _ask(self, request: Request) -> Source:
        """Ask, and again after a moment if the answer is not to be had for what may be a passing reason."""
        provider = provider_for(request, self._providers)
        for seconds in _RETRY_WAITS_SECONDS:
            try:
                return await provider.resolve(request)
            except Unavailable as error:
                if error.code.endswith("_timeout"):
                    raise
                await asyncio.sleep(seconds)
        return await provider.resolve(request)


def _stopping() -> Unavailable:
    return Unavailable("The service is stopping.", code="service_stopping", hint="Try again in a moment.")
