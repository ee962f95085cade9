"""Which commit does a request mean? Equal questions share one answer, which is kept for a moment; only some are asked at a time."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

from cachetools import TTLCache

from ..errors import NotAllowed, NotFound, TooMany, Unavailable
from ..models import Request, Source
from ..providers import Provider, check_permitted, provider_for
from .limits import BuildLimits

_RETRY_WAITS_SECONDS = (0.5, 1.5)
_RETRY_AFTER_SECONDS = 10
_PLACE_SECONDS = 1.0  # how long a question waits for an answer to another one before it is refused: most Git servers answer sooner
_MAX_KEPT = 10_000
_KEPT_PLACES = 10_000

_Question = tuple[str, str, str]
_Ask = Callable[[], Awaitable[Any]]


class _KnownRefs:
    """What providers answered a moment ago: commits, names, and that something is not there; never that they could not be asked."""

    def __init__(self, seconds: float) -> None:
        self._answers: TTLCache[_Question, Any] = TTLCache(_MAX_KEPT, seconds)

    def put(self, question: _Question, answer: Any) -> None:
        self._answers[question] = answer

    def get(self, question: _Question) -> Any:
        """Return the answer that is known, or None; raise `NotFound` if it is known that there is none."""
        answer = self._answers.get(question)
        if isinstance(answer, NotFound):
            raise NotFound(answer.message, code=answer.code, hint=answer.hint)
        return answer


class Resolver:
    """Asks providers for commits.

    A question counts from its first try to the end of its last one, for the person who asked it first, even if that person
    does not wait any more.

    Args:
        providers: the most specific one is asked.
        limits: how many questions there may be at a time, and for how long an answer is kept.
    """

    def __init__(self, providers: Sequence[Provider], limits: BuildLimits) -> None:
        self._providers = providers
        self._limits = limits
        self._place = lru_cache(_KEPT_PLACES)(self._place_of)  # a refusal is not kept, and so no address with a credential
        self._tasks: dict[_Question, asyncio.Task[Any]] = {}
        self._kept = _KnownRefs(limits.ref_seconds)
        self._by_person: Counter[str] = Counter()
        self._answered = asyncio.Event()  # another one for each answer
        self._closing = False

    async def resolve(self, request: Request, person: str, *, fresh: bool = False) -> Source:
        """Return the commit that a request means; equal requests that come meanwhile or right afterwards share the answer.

        Args:
            fresh: ask even if the answer is known from a moment ago.

        Raises:
            NotAllowed: the operator does not let the repository be used.
            TooMany: the person, or all together, have as many questions open as there may be.
            InvalidRequest, NotFound, Unavailable: from the provider.
        """
        check_permitted(request, self._providers)
        provider, repository = self._place(request)
        question = (provider.name, repository, request.ref)
        source: Source = await self._answer(question, lambda: provider.resolve(request), person, fresh=fresh)
        return source

    async def names_among(self, request: Request, names: Sequence[str], person: str) -> frozenset[str]:
        """Return which of some names are branches or tags of a request's repository; counts as a question, and is shared, as `resolve`.

        Raises:
            NotAllowed, TooMany, InvalidRequest, NotFound, Unavailable: as `resolve`.
        """
        self._check_one_permitted(request, names)
        provider, repository = self._place(request)
        question = (provider.name, repository, "\n".join(["", *names]))  # no ref has a line feed in it
        found: frozenset[str] = await self._answer(question, lambda: provider.names_among(request, names), person)
        return found

    async def full_address(self, repo: str, person: str) -> str:
        """Return an address with the part that it leaves out, e.g. a gist's user; counts as a question, and is shared, if somebody has to be asked.

        Raises:
            TooMany, NotFound, Unavailable: as `resolve`.
        """
        provider = next((one for one in self._providers if one.is_short(repo)), None)
        if provider is None:
            return repo
        address: str = await self._answer((provider.name, repo, "\n"), partial(provider.full_address, repo), person)
        return address

    async def _answer(self, question: _Question, ask: _Ask, person: str, *, fresh: bool = False) -> Any:
        if question not in self._tasks and (fresh or self._kept.get(question) is None):
            await self._wait_for_place(question, person)
        if self._closing:
            raise _stopping()
        if not fresh and (known := self._kept.get(question)):
            return known
        task = self._tasks.get(question) or self._begin(question, ask, person)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if self._closing and task.cancelled():
                raise _stopping() from None
            raise

    def check_permitted(self, request: Request) -> None:
        """Raise `NotAllowed` if the operator does not let the request's repository be used, and `InvalidRequest` as `repository_of`; asks nobody."""
        check_permitted(request, self._providers)

    def repository_of(self, request: Request) -> str:
        """Return the canonical address of the request's repository; asks nobody.

        Raises:
            InvalidRequest: from the provider.
        """
        return self._place(request)[1]

    def _place_of(self, request: Request) -> tuple[Provider, str]:
        """Return who is asked about a request, and the canonical address of its repository; the same for ever."""
        provider = provider_for(request, self._providers)
        return provider, provider.canonical_repo(request)

    def is_renamed_head(self, request: Request) -> bool:
        """Say whether the request's ref, where it is not there, probably means the default branch; asks nobody."""
        return request.ref in self._place(request)[0].renamed_heads

    def _check_one_permitted(self, request: Request, names: Sequence[str]) -> None:
        """Check that the operator lets the repository be used at one of the names; raises `NotAllowed`."""
        refused: NotAllowed | None = None
        for name in names:
            try:
                return check_permitted(replace(request, ref=name), self._providers)
            except NotAllowed as error:
                refused = error
        if refused:
            raise refused
        return None

    async def close(self) -> None:
        """Give up all questions; their requesters hear that the service stops."""
        self._closing = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _wait_for_place(self, question: _Question, person: str) -> None:
        """Wait until a question may be asked, or is asked already by somebody else; raises `TooMany` if that does not come soon."""
        until = asyncio.get_running_loop().time() + _PLACE_SECONDS
        while question not in self._tasks and not self._closing:
            try:
                return self._check_may_ask(person)
            except TooMany:
                if asyncio.get_running_loop().time() >= until:
                    raise
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(until):
                    await self._answered.wait()
        return None

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

    def _begin(self, question: _Question, ask: _Ask, person: str) -> asyncio.Task[Any]:
        def ended(task: asyncio.Task[Any]) -> None:
            del self._tasks[question]
            self._by_person -= Counter({person: 1})  # drops the person at 0
            self._answered.set()
            self._answered = asyncio.Event()
            if task.cancelled():
                return
            error = task.exception()  # seen, even if nobody waits for the answer any more
            if error is None or isinstance(error, NotFound):
                self._kept.put(question, error or task.result())

        task = asyncio.create_task(self._ask(ask))
        self._tasks[question] = task
        self._by_person[person] += 1
        task.add_done_callback(ended)
        return task

    async def _ask(self, ask: _Ask) -> Any:
        """Ask, and again after a moment if the answer is not to be had for what may be a passing reason."""
        for seconds in _RETRY_WAITS_SECONDS:
            try:
                return await ask()
            except Unavailable as error:
                if error.code.endswith("_timeout"):
                    raise
                await asyncio.sleep(seconds)
        return await ask()


def _stopping() -> Unavailable:
    return Unavailable("The service is stopping.", code="service_stopping", hint="Try again in a moment.")
