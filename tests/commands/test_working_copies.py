"""People's files in the state directory: an administrator sees what they take, and removes what nobody needs; never what a server uses."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import httpx
import psutil
import pytest

from binderhub_service.builds.cleaner import Budget, Cleaner
from binderhub_service.builds.copy_quota import CopyQuota
from binderhub_service.common.homes import DELETED, NAMES, OWNERS, PEOPLE
from binderhub_service.errors import Unavailable
from binderhub_service.monitoring.metrics import Metrics
from binderhub_service.process.tasks import Tasks
from binderhub_service.store.space import Space
from binderhub_service.working_copies import WorkingCopies, processes_in
from spawner.account import HomeOwner, account_of
from spawner.local.homes import Homes
from spawner.local.working_copy import copy_of
from tests import fake_hub
from tests.commands.test_state_commands import at_socket, command, state
from tests.handlers.test_api import Service, error_of, hub_auth, service
from tests.harness.waiting import wait_for

__all__ = ["hub_auth", "service", "state"]  # fixtures
LONG_AGO = datetime.now(UTC) - timedelta(days=400)
TOKEN = "ghp_" + "a" * 36
Work = Callable[..., Path]


@pytest.fixture
def work(state: Path) -> Work:
    """Gives an account a home with a working copy: ``work(account, repo, used)``."""

    def made(account: HomeOwner, repo: str = "https://git.example.org/o/r", used: datetime = LONG_AGO) -> Path:
        home, _ = Homes(state / PEOPLE).of(account)
        copy = copy_of(home, "", repo, "main")
        (copy / ".git").mkdir(parents=True)
        (copy / ".git" / "config").write_text(f'[remote "origin"]\n\turl = {repo.replace("://", f"://{TOKEN}@")}\n')
        (copy / "work").write_bytes(b"x" * 100_000)
        for path in (copy / "work", copy / ".git" / "config", copy / ".git", copy):
            os.utime(path, (used.timestamp(), used.timestamp()))
        return copy

    return made


@contextmanager
def server_in(copy: Path) -> Iterator[None]:
    with subprocess.Popen(["sleep", "600"], cwd=copy) as process:
        wait_for(lambda: Path(f"/proc/{process.pid}/cwd").resolve() == copy.resolve(), "the server", 10)
        try:
            yield
        finally:
            process.kill()


def account(number: int, name: str) -> HomeOwner:
    return account_of(number, name, LONG_AGO)


def test_processes_that_end_while_they_are_looked_at_hide_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = psutil.Process.cwd

    def cwd(process: psutil.Process) -> str:
        if process.pid == os.getpid():
            raise FileNotFoundError  # as Linux answers when a process has let go of its folder and is not gone yet
        return where(process)

    monkeypatch.setattr(psutil.Process, "cwd", cwd)
    with server_in(tmp_path):
        assert [*processes_in(tmp_path.resolve()).values()] == [[tmp_path.resolve()]]


async def test_a_command_lists_peoples_files_and_removes_one_or_all_of_a_person(
    service: Service, state: Path, work: Work, capsys: pytest.CaptureFixture[str]
) -> None:
    alices, other = work(account(1, "alice")), work(account(1, "alice"), "https://git.example.org/o/other")
    (alices.parents[1] / "data").write_bytes(b"x" * 50_000)
    work(account(2, "Bo B."))
    Homes(state / PEOPLE).of(account(2, "bob"))  # the hub has renamed them
    work(account(3, "eve"))
    Homes(state / PEOPLE).give_up(account(3, "eve"), "keep")
    work(account(4, "zoe"))
    Homes(state / PEOPLE).give_up(account(4, "zoe"), "aside")
    (state / PEOPLE / "alice" / "link").symlink_to(alices.parent)
    service.context = replace(service.context, copies=WorkingCopies(state))
    name = alices.relative_to(state / PEOPLE).as_posix()
    async with at_socket(service, state):

        async def said(*words: str) -> tuple[int, str, str]:
            status = await asyncio.to_thread(command, state, "copies", *words)
            return status, *capsys.readouterr()

        assert await said("list", "nobody") == (0, "", "There are none.\n")
        found = json.loads((await said("list", "--json"))[1])
        people = {one["name"]: one["person"] for one in found if not one["repo"]}
        assert [*people.items()][:3] == [("Bo-20B-2E", "bob"), ("alice", "alice"), ("eve", "")]
        assert [name.partition(".2")[0] for name in [*people][3:]] == [f"{DELETED}/zoe"]
        assert {one["repo"] for one in found} == {"", "https://***@git.example.org/o/r", "https://***@git.example.org/o/other"}
        with server_in(alices):
            [home, *copies] = json.loads((await said("list", "alice", "--json"))[1])
            assert {one["name"]: one["running"] for one in (home, *copies)} == {
                "alice": True,
                name: True,
                other.relative_to(state / PEOPLE).as_posix(): False,
            }
            assert all(100_000 < one["bytes"] < 130_000 and one["last_used"].startswith(f"{LONG_AGO:%Y-%m-%dT%H:%M:%S}") for one in copies)
            assert 250_000 < home["bytes"] < 300_000
            for used in ("alice", name):
                assert (await said("remove", used))[::2] == (
                    1,
                    f"A server runs in {used}. Stop the person's servers first, on the hub's admin page.\n",
                )
        assert (await said("remove", name))[:2] == (0, f"{name} is removed.\n")
        assert (alices.exists(), other.exists()) == (False, True)
        for wrong in ("alice/default", "../state", ".owners", "nobody", name):
            assert (await said("remove", wrong))[0] == 1
        assert (await said("remove", "alice"))[0] == 0
        assert (await said("remove", [*people][3]))[0] == 0
    left = {one.name for one in WorkingCopies(state).all() if not one.repo}
    assert left == {"Bo-20B-2E", "eve"}
    assert {path.name for records in (OWNERS, NAMES) for path in (state / PEOPLE / records).iterdir()} == left
    assert Homes(state / PEOPLE).of(account(1, "alice")) == (state / PEOPLE / "alice", ""), "a new home, for the same account"


async def test_others_see_nobodys_files_and_where_they_are_elsewhere_that_is_said(service: Service) -> None:
    error_of(await service.ask("GET", "/copies"), 403)
    error_of(await service.ask("DELETE", "/copies/alice"), 403)
    error_of(await service.ask("GET", "/copies", "root-admin"), 404, "copies_elsewhere")


async def test_no_new_copy_is_made_for_who_has_as_much_as_is_allowed(
    service: Service, state: Path, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = datetime.fromisoformat(fake_hub.LONG_AGO)

    async def asked(name: str) -> httpx.Response:
        return await service.ask("POST", "/starts/copy", name)

    alices, former = work(account_of(1, "alice", made)), work(account_of(1, "alice", made - timedelta(days=1)))
    for copy in (alices, former):
        (copy / "data").write_bytes(b"x" * 2 * 1024**2)
    copies, controls = WorkingCopies(state), service.context.controls
    monkeypatch.setattr(service.context.copy_quota, "check", CopyQuota(copies, controls, 1024**2, 600).check)
    assert (await asked("alice")).status_code == 204, "nothing is measured yet"
    copies.measure()
    told = error_of(await asked("alice"), 429, "files_quota")
    assert told["message"] == "Your files on this hub take 2 MB, and 1 MB are allowed, so no new working copy is made."
    assert "every 600 seconds" in told["hint"]
    assert (await asked("bob")).status_code == 204
    error_of(await asked("robot"), 403)
    await controls.put("megabytes-of-person", "alice", "3", "root-admin")
    assert (await asked("alice")).status_code == 204
    await controls.put("megabytes-of-person", "alice", "2", "root-admin")
    error_of(await asked("alice"), 429, "files_quota")
    copies.remove(alices.relative_to(state / PEOPLE).as_posix())
    assert (await asked("alice")).status_code == 204
    assert copies.bytes > 2 * 1024**2, "an earlier account's of that name"


async def test_copies_go_when_nobody_has_used_them_for_as_long_as_is_said_and_what_is_left_is_a_metric(
    service: Service, state: Path, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, running = work(account(1, "alice")), work(account(2, "bob"))
    new = work(account(3, "eve"), used=datetime.now(UTC))
    copies, removed = WorkingCopies(state), list[str]()
    metrics = Metrics("embedded")
    metrics.watch(service.context.builds, [], Tasks(), Space(state), copies=copies)

    async def clean(seconds: float) -> str:
        budget = Budget(copy_seconds=seconds)
        await Cleaner(
            store=service.store, images=service.images, builds=service.context.builds, budget=budget, copies=copies, note_copy_removed=removed.append
        ).clean()
        [told] = [line for line in metrics.exposition()[1].decode().splitlines() if line.startswith("binder_people_bytes ")]
        return told

    with ExitStack() as stack:
        stack.enter_context(server_in(running))
        assert float((await clean(0)).split()[1]) == copies.bytes > 300_000
        assert removed == []
        monkeypatch.setattr(service.store, "analyze", mock.AsyncMock(side_effect=Unavailable("The disk is full.")))
        with pytest.raises(Unavailable):  # files go nonetheless: they may be what the disk is full of
            await clean(30 * 24 * 3600)
    assert removed == [old.relative_to(state / PEOPLE).as_posix()]
    assert [path.exists() for path in (old, running, new)] == [False, True, True]
    assert 200_000 < copies.bytes < 300_000
