"""How many questions to Git servers may be open at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from binderhub_service.builds.limits import BuildLimits
from binderhub_service.builds.resolver import Resolver
from binderhub_service.errors import NotFound, TooMany, Unavailable
from binderhub_service.models import Request
from binderhub_service.providers.git import GitProvider
from binderhub_service.providers.ls_remote import LsRemote
from tests.harness.records import TableProvider
from tests.harness.waiting import until

LIMITS = BuildLimits(resolving=5, resolving_per_user=3)


@pytest.fixture
def provider() -> TableProvider:
    """A provider that answers when its gate is opened."""
    provider = TableProvider()
    provider.gate = asyncio.Event()
    return provider


@pytest.fixture
async def resolver(provider: TableProvider) -> AsyncIterator[Resolver]:
    """A resolver with small limits."""
    resolver = Resolver([provider], LIMITS)
    yield resolver
    await resolver.close()


def ask(resolver: Resolver, person: str, *numbers: int) -> list[asyncio.Task[object]]:
    """Ask for repositories by their numbers, without waiting for answers."""
    return [asyncio.ensure_future(resolver.resolve(Request(f"https://git.example.org/o/{number}"), person)) for number in numbers]


async def test_one_person_waits_for_some_answers_at_a_time_and_others_may_ask_meanwhile(resolver: Resolver, provider: TableProvider) -> None:
    asked = ask(resolver, "alice", 1, 2, 3)
    await until(lambda: len(provider.asked) == 3, "three questions")
    with pytest.raises(TooMany, match="3 Git servers") as refused:
        await asyncio.gather(*ask(resolver, "alice", 4))
    assert refused.value.retry_after_seconds > 0
    asked += ask(resolver, "bob", 5)
    assert provider.gate
    provider.gate.set()
    await asyncio.gather(*asked)
    await asyncio.gather(*ask(resolver, "alice", 6))


async def test_who_asks_much_at_once_gets_all_answers_where_they_come_soon(provider: TableProvider) -> None:
    resolver = Resolver([provider], replace(LIMITS, ref_seconds=60))
    asked = ask(resolver, "alice", *range(20)) + ask(resolver, "bob", *range(10, 30))
    await until(lambda: len(provider.asked) == 5, "as many questions as there may be")
    assert provider.gate
    provider.gate.set()
    assert len(set(await asyncio.gather(*asked))) == 30
    assert len(provider.asked) == 30, "each is asked once"


async def test_who_waits_for_a_place_hears_that_the_service_stops(resolver: Resolver, provider: TableProvider) -> None:
    asked = ask(resolver, "alice", 1, 2, 3, 4)
    await until(lambda: len(provider.asked) == 3, "three questions")
    await resolver.close()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [getattr(answer, "code", "") for answer in answers] == ["service_stopping"] * 4


async def test_all_together_wait_for_some_answers_at_a_time(resolver: Resolver, provider: TableProvider) -> None:
    ask(resolver, "alice", 1, 2, 3)
    ask(resolver, "bob", 4, 5)
    await until(lambda: len(provider.asked) == 5, "five questions")
    with pytest.raises(TooMany, match="5 Git servers"):
        await asyncio.gather(*ask(resolver, "carol", 6))


async def test_a_crowd_that_asks_the_same_is_one_question(resolver: Resolver, provider: TableProvider) -> None:
    asked = ask(resolver, "alice", *[1] * 100) + ask(resolver, "bob", *[1] * 100)
    await until(lambda: len(provider.asked) == 1, "one question")
    assert provider.gate
    provider.gate.set()
    assert len(set(await asyncio.gather(*asked))) == 1


async def test_a_question_that_is_tried_again_counts_until_its_last_try(resolver: Resolver, provider: TableProvider) -> None:
    provider.error = Unavailable("no answer")
    assert provider.gate
    provider.gate.set()
    asked = ask(resolver, "alice", 1, 2, 3)
    await until(lambda: len(provider.asked) == 3, "three first tries")
    with pytest.raises(TooMany):
        await asyncio.gather(*ask(resolver, "alice", 4))
    assert {type(answer) for answer in await asyncio.gather(*asked, return_exceptions=True)} == {Unavailable}


async def test_who_goes_away_does_not_make_place_for_more(resolver: Resolver, provider: TableProvider) -> None:
    for task in ask(resolver, "alice", 1, 2, 3):
        await until(lambda: len(provider.asked) >= 1, "a question")
        task.cancel()
    with pytest.raises(TooMany):
        await asyncio.gather(*ask(resolver, "alice", 4))


async def test_an_answer_is_kept_for_a_moment_however_many_ask_and_however_they_spell_it() -> None:
    provider = TableProvider()
    provider.canonical_repo = lambda request: request.repo.lower().removesuffix(".git")  # type: ignore[method-assign]
    resolver = Resolver([provider], BuildLimits(ref_seconds=30))
    spelled = [Request("https://git.example.org/O/r", "main"), Request("https://git.example.org/o/r.git", "main")]
    known = {await resolver.resolve(request, person) for request in spelled for person in ("alice", "bob")}
    assert len(known) == len(provider.asked) == 1
    await resolver.resolve(Request("https://git.example.org/o/r", ""), "alice")
    await resolver.resolve(Request("https://git.example.org/o/other", "main"), "alice")
    assert len(provider.asked) == 3, "another ref or repository is another question"
    await resolver.resolve(spelled[0], "alice", fresh=True)
    assert len(provider.asked) == 4


async def test_that_something_is_not_there_is_kept_and_that_nobody_answered_is_not() -> None:
    provider = TableProvider()
    resolver = Resolver([provider], BuildLimits(ref_seconds=30))
    for _ in range(3):
        with pytest.raises(NotFound, match="There is no gone") as refused:
            await resolver.resolve(Request("r", "gone"), "alice")
        assert refused.value.code == "ref_not_found"
    assert len(provider.asked) == 1
    provider.error = Unavailable("no answer", code="git_server_timeout")
    for _ in range(2):
        with pytest.raises(Unavailable):
            await resolver.resolve(Request("r", "main"), "alice")
    provider.error = None
    await resolver.resolve(Request("r", "main"), "alice")


async def test_an_answer_is_asked_for_again_when_its_time_is_over() -> None:
    provider = TableProvider()
    resolver = Resolver([provider], BuildLimits(ref_seconds=0.05))
    await resolver.resolve(Request("r", "main"), "alice")
    provider.refs["main"] = "f" * 40
    await asyncio.sleep(0.1)
    assert (await resolver.resolve(Request("r", "main"), "alice")).commit == "f" * 40


async def test_three_hundred_asks_for_a_host_that_never_answers_are_few_processes() -> None:
    writers: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda reader, writer: writers.append(writer), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    resolver = Resolver([GitProvider(LsRemote(timeout_seconds=60))], LIMITS)
    asks = [asyncio.ensure_future(resolver.resolve(Request(f"http://127.0.0.1:{port}/{number}"), "alice")) for number in range(300)]
    try:
        refused = [answer for answer in await asyncio.gather(*asks[3:], return_exceptions=True) if isinstance(answer, TooMany)]
        assert len(refused) == 297
        own = [process for process in psutil.Process().children(recursive=True) if str(port) in " ".join(process.cmdline())]
        assert len(own) <= 9
    finally:
        await resolver.close()
        await asyncio.gather(*asks, return_exceptions=True)
        silent.close()
        for writer in writers:
            writer.close()


async def test_a_server_that_answers_without_an_end_takes_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git = tmp_path / "git"
    git.write_text("#!/bin/sh\nhead --bytes=300M /dev/zero\nhead --bytes=100M /dev/zero >&2\n")
    git.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    before = psutil.Process().memory_info().rss
    with pytest.raises(NotFound):
        await GitProvider().resolve(Request("https://git.example.org/o/r"))
    assert psutil.Process().memory_info().rss - before < 50 * 1024 * 1024
