"""The store, on every database it is meant for."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from binderhub_service.errors import Unavailable
from binderhub_service.models import Build, Event, Image, Kind, Phase, State
from binderhub_service.store.store import Store
from tests.harness.records import DAY, build, lines, source


async def ids(store: Store, *, requester: str | None = None, before: str | None = None, limit: int = 50, **filters: str) -> list[str]:
    return [found.id for found in await store.newest(requester=requester, filters=filters, before=before, limit=limit)]


async def add(store: Store, *builds: Build) -> None:
    for one in builds:
        await store.create(one)


def ended(one: Build, state: State = State.READY) -> Build:
    return replace(one, state=state, phase=Phase.DONE)


async def test_a_build_comes_back_as_it_was_stored(store: Store) -> None:
    whole = build(
        1,
        state=State.FAILED,
        phase=Phase.BUILDING,
        started=DAY + timedelta(milliseconds=1234),
        finished=DAY + timedelta(seconds=9),
        error={"code": "x", "message": "é \u2028", "hint": None},
        image="name",
        force=True,
    )
    plain = build(2)
    await add(store, whole, plain)
    assert await store.get(whole.id) == whole
    assert await store.get(plain.id) == plain


async def test_a_build_that_nobody_stored_is_none(store: Store) -> None:
    assert await store.get("b0") is None
    assert await store.events("b0", 0, 10) == []
    assert await store.requesters("b0") == {}
    assert await store.newest_ready("image-1") is None


async def test_the_owner_is_the_first_requester(store: Store) -> None:
    await add(store, build(1))
    assert await store.requesters("b00000001") == {"alice": True}
    await store.set_requester("b00000001", "bob", wants=True)
    await store.set_requester("b00000001", "alice", wants=False)
    assert await store.requesters("b00000001") == {"alice": False, "bob": True}


async def test_an_account_adopts_what_its_name_has_but_for_older_builds(store: Store) -> None:
    await add(store, build(1), build(2), build(3), build(4, owner="bob"))
    await store.set_requester("b00000003", "alice/key", wants=False)
    await store.set_requester("b00000004", "alice", wants=False)
    before = [await store.requesters(f"b0000000{number}") for number in (1, 2)]
    await store.adopt("alice", "alice/key", build(2).created)
    assert before == [{"alice": True}, {"alice": True}]
    assert await store.requesters("b00000001") == {"alice": True}, "it is older than the account"
    assert await store.requesters("b00000002") == {"alice/key": True}
    assert await store.requesters("b00000003") == {"alice/key": False}, "what the account said itself stays"
    assert await store.requesters("b00000004") == {"bob": True, "alice/key": False}
    assert await ids(store, requester="alice/key") == ["b00000004", "b00000003", "b00000002"]


async def test_an_account_adopts_what_is_stored_under_keys_between(store: Store) -> None:
    for number, key in enumerate(("alice/1", "alice/2.5", "alice/3", "alicf/2", "alice/2.6"), start=1):
        await store.create(build(number), key)
    await store.adopt_between("alice/1", "alice/3", "alice/2.6")
    assert await ids(store, requester="alice/2.6") == ["b00000005", "b00000002"]


async def test_an_account_with_another_name_has_what_it_had(store: Store) -> None:
    await store.create(build(1), "alice/key")
    await store.create(build(2, owner="bob"), "alice/later")
    assert await store.requesters("b00000001") == {"alice/key": True}
    await store.rename_requester("alice/key", "alicia/key")
    assert await store.requesters("b00000001") == {"alicia/key": True}
    assert await ids(store, requester="alice/later") == ["b00000002"]


async def test_the_record_changes_together_with_its_events(store: Store) -> None:
    await add(store, build(1))
    now = build(1, state=State.RUNNING, phase=Phase.FETCHING, started=DAY, last_event=2, image="named")
    now = replace(now, image=Image("image-1", "key"))
    await store.record(now, lines(1, 2), "cursor-2")
    assert await store.get(now.id) == now
    assert await store.events(now.id, 0, 10) == lines(1, 2)
    assert await store.unfinished() == [(now, "cursor-2")]


async def test_a_record_whose_events_cannot_be_stored_does_not_change(store: Store) -> None:
    first = build(1)
    await add(store, first)
    broken = Event(1, Kind.PHASE, None)  # type: ignore[arg-type]  # the database refuses it
    with pytest.raises(Unavailable):
        await store.record(replace(first, state=State.RUNNING, last_event=1), [broken], "cursor")
    assert await store.unfinished() == [(first, "")]
    assert await store.events(first.id, 0, 10) == []


async def test_a_record_that_was_stored_already_is_stored_once(store: Store) -> None:
    """A database may lose the connection after the commit and before the answer; then the same batch comes again, maybe longer."""
    await add(store, build(1))
    await store.record(build(1, last_event=2), lines(1, 2), "2")
    await store.record(build(1, last_event=2), lines(1, 2), "2")
    assert await store.events("b00000001", 0, 10) == lines(1, 2)


async def test_a_build_that_cannot_be_created_has_no_requester(store: Store) -> None:
    await add(store, build(1, image="same"))
    with pytest.raises(Unavailable):
        await store.create(build(2, image="same", owner="bob"))
    assert await store.get("b00000002") is None
    assert await store.requesters("b00000002") == {}


async def test_an_image_has_one_unfinished_build_at_most(store: Store) -> None:
    first = build(1, image="same")
    await add(store, first)
    with pytest.raises(Unavailable):
        await store.create(build(2, image="same"))
    await store.record(ended(first), [], "")
    await store.create(build(3, image="same"))
    await store.create(build(4, image="other"))
    assert [one.id for one, _ in await store.unfinished()] == ["b00000003", "b00000004"]


async def test_the_unfinished_are_those_that_wait_and_run_oldest_first(store: Store) -> None:
    await add(store, build(3), build(1, state=State.RUNNING), *(build(9 + n, state=state) for n, state in enumerate(State) if state.ended))
    assert [one.id for one, _ in await store.unfinished()] == ["b00000001", "b00000003"]


async def test_the_newest_ready_build_of_an_image_is_found(store: Store) -> None:
    await add(
        store, *(build(n, image="same", state=state) for n, state in [(1, State.READY), (2, State.READY), (3, State.FAILED), (4, State.QUEUED)])
    )
    newest = await store.newest_ready("same")
    assert newest
    assert newest.id == "b00000002"


async def test_lists_are_newest_first_and_come_in_pages(store: Store) -> None:
    await add(store, *(build(n) for n in (2, 5, 1, 4, 3)))
    assert await ids(store) == [f"b{n:08d}" for n in (5, 4, 3, 2, 1)]
    assert await ids(store, limit=2) == ["b00000005", "b00000004"]
    assert await ids(store, limit=2, before="b00000004") == ["b00000003", "b00000002"]
    assert await ids(store, before="b00000001") == []


async def test_lists_are_filtered_by_state_repository_owner_and_requester(store: Store) -> None:
    other = source(2, repo="https://git.example.org/other")
    await add(store, build(1, state=State.READY), build(2, source=other), build(3, owner="bob"), build(4, owner="bob", state=State.READY))
    await store.set_requester("b00000003", "alice", wants=False)
    assert await ids(store, state="ready") == ["b00000004", "b00000001"]
    assert await ids(store, repo=other.repo) == ["b00000002"]
    assert await ids(store, owner="bob") == ["b00000004", "b00000003"]
    assert await ids(store, owner="bob", state="ready") == ["b00000004"]
    assert await ids(store, requester="alice") == ["b00000003", "b00000002", "b00000001"]
    assert await ids(store, requester="alice", owner="bob") == ["b00000003"]
    assert await ids(store, requester="alice", before="b00000003", limit=1) == ["b00000002"]
    assert await ids(store, requester="nobody") == []


async def test_a_quote_in_a_filter_is_only_a_quote(store: Store) -> None:
    await add(store, build(1))
    assert await ids(store, owner="' OR '1'='1") == []


async def test_events_come_in_pages(store: Store) -> None:
    await add(store, build(1), build(2))
    await store.record(build(1, last_event=5), lines(1, 5), "")
    await store.record(build(2, last_event=1), lines(1, 1), "")
    assert await store.events("b00000001", 0, 2) == lines(1, 2)
    assert await store.events("b00000001", 2, 100) == lines(3, 5)
    assert await store.events("b00000001", 5, 100) == []


async def test_many_calls_at_once_are_done_in_their_order(store: Store) -> None:
    await add(store, build(1))
    await asyncio.gather(*(store.record(build(1, last_event=n), lines(n, n), str(n)) for n in range(1, 101)))
    assert await store.events("b00000001", 0, 200) == lines(1, 100)
    assert (await store.unfinished())[0][1] == "100"


async def test_records_of_many_builds_at_once_are_few_transactions(store: Store) -> None:
    await add(store, *(build(number) for number in range(1, 51)))
    transactions: list[object] = []
    sa.event.listen(store._engine, "begin", transactions.append)
    told = [build(number, state=State.RUNNING, last_event=3) for number in range(1, 51)]
    await asyncio.gather(*(store.record(one, lines(1, 3), "c") for one in told))
    assert len(transactions) <= 3, "the first may have begun before the others came"
    assert await store.unfinished() == [(one, "c") for one in told]
    assert await store.log_bytes("b00000050") == sum(len(event.data) for event in lines(1, 3))


async def test_a_record_that_cannot_be_stored_hinders_no_other_that_is_told_with_it(store: Store) -> None:
    await add(store, *(build(number) for number in range(1, 6)))
    broken = Event(1, Kind.PHASE, None)  # type: ignore[arg-type]  # the database refuses it
    told = [(build(number, last_event=1), [broken] if number == 3 else lines(1, 1)) for number in range(1, 6)]
    answers = await asyncio.gather(*(store.record(one, events, "c") for one, events in told), return_exceptions=True)
    assert [isinstance(answer, Unavailable) for answer in answers] == [number == 3 for number in range(1, 6)]
    assert await store.unfinished() == [(one, "c") if number != 3 else (build(3), "") for number, (one, _) in enumerate(told, start=1)]


async def test_everything_is_there_after_a_restart(store: Store, store_url: str) -> None:
    await add(store, build(1))
    await store.record(build(1, last_event=3), lines(1, 3), "c")
    await store.close()
    again = Store(store_url)
    await again.open()
    assert await again.unfinished() == [(build(1, last_event=3), "c")]
    assert await again.events("b00000001", 0, 9) == lines(1, 3)
    await again.close()


async def test_old_builds_are_forgotten_but_for_those_that_launches_need(store: Store) -> None:
    old, young = DAY, DAY + timedelta(days=2)
    made = [
        build(1, image="known", state=State.READY, finished=old),
        build(2, image="known", state=State.READY, finished=old),
        build(3, image="known", state=State.FAILED, finished=old),
        build(4, image="gone", state=State.READY, finished=old),
        build(5, image="other", state=State.CANCELLED, finished=young),
        build(6, image="going on", state=State.RUNNING),
    ]
    await add(store, *made)
    for one in made:
        await store.record(replace(one, last_event=2), lines(1, 2), "")
        assert await store.get(one.id)
        assert await store.requesters(one.id)
    await store.note_use("known", DAY, 0)
    assert await store.newest_ready("gone")
    assert await store.forget_builds(DAY + timedelta(days=1), 2) == 2
    assert await store.forget_builds(DAY + timedelta(days=1), 2) == 1
    assert await store.forget_builds(DAY + timedelta(days=1), 2) == 0
    assert await ids(store) == ["b00000006", "b00000005", "b00000002"]
    for number in (1, 3, 4):
        gone = f"b0000000{number}"
        assert (await store.get(gone), await store.events(gone, 0, 9), await store.requesters(gone)) == (None, [], {})
    assert await store.newest_ready("gone") is None
    newest = await store.newest_ready("known")
    assert newest
    assert newest.id == "b00000002"
    assert await store.events("b00000002", 0, 9) == lines(1, 2)


async def test_a_build_is_forgotten_by_its_id_once_it_has_ended_and_no_launch_needs_it(store: Store) -> None:
    made = [
        build(1, image="known", state=State.READY, finished=DAY),
        build(2, image="known", state=State.READY, finished=DAY),
        build(3, state=State.RUNNING),
    ]
    await add(store, *made)
    await store.note_use("known", DAY, 0)
    for one in made:
        await store.record(replace(one, last_event=2), lines(1, 2), "")
        assert await store.get(one.id)
    assert [await store.forget_build(one.id) for one in (*made, made[0])] == [True, False, False, False]
    assert await ids(store) == ["b00000003", "b00000002"]
    assert (await store.get("b00000001"), await store.events("b00000001", 0, 9), await store.requesters("b00000001")) == (None, [], {})


async def test_an_open_store_answers_its_check(store: Store) -> None:
    await store.check()


# A database that is away


async def test_a_database_that_is_gone_is_unavailable_and_never_empty(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await add(store, build(1))

    def refuse(*arguments: object, **more: object) -> sa.Connection:
        raise OperationalError("connect", {}, Exception("connection refused"))

    with monkeypatch.context() as patch:
        patch.setattr(sa.Engine, "connect", refuse)
        patch.setattr(sa.Engine, "begin", refuse)
        for call in (
            store.check(),
            store.get("b00000001"),
            store.unfinished(),
            store.newest(requester=None, filters={}, before=None, limit=1),
            store.newest_ready("image-1"),
            store.events("b00000001", 0, 1),
            store.requesters("b00000002"),  # who began the first is known
            store.create(build(2)),
            store.record(build(1), lines(1, 1), ""),
            store.set_requester("b00000001", "bob", wants=True),
        ):
            with pytest.raises(Unavailable) as caught:
                await call
            assert (caught.value.code, caught.value.status) == ("store_unavailable", 503)
    assert await ids(store) == ["b00000001"]


async def test_a_file_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'nowhere' / 'store.sqlite'}")
    with pytest.raises(Unavailable):
        await store.open()
    await store.close()


async def test_sqlite_writes_ahead_so_that_readers_never_wait(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    store = Store(f"sqlite:///{path}")
    await store.open()
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    engine.dispose()
    await store.close()


async def test_the_oldest_logs_go_beyond_a_budget_and_those_of_builds_that_go_on_stay(store: Store) -> None:
    for number in (1, 2, 3):
        made = build(number)
        await add(store, made)
        done = replace(ended(made), finished=DAY + timedelta(seconds=number), last_event=11) if number < 3 else replace(made, last_event=10)
        await store.record(done, lines(1, 10) + ([Event(11, Kind.END, "{}")] if number < 3 else []), "")
    each = await store.log_bytes("b00000001")
    assert each == 10 * len('{"text": "line 1"}') + 1
    assert await store.drop_oldest_logs(3 * each, 20) == 0
    assert await store.drop_oldest_logs(2 * each, 20) == 1
    assert [await store.log_bytes(f"b0000000{number}") for number in (1, 2, 3)] == [0, each, each]
    assert [event.kind for event in await store.events("b00000001", 0, 20)] == [Kind.END]
    assert await store.drop_oldest_logs(0, 20) == 1
    assert await store.log_bytes("b00000003") == each
    await store.check_write()
    assert await store.uses() == {}
