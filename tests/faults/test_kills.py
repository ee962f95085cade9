"""Kills at any moment: the service, a build's process, or both. Whatever is killed, every build ends once, with its whole event log.

BINDER_TEST_SEED=n repeats the choice of the moments; BINDER_TEST_KILLS=n makes more of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from binderhub_service.images.environments import EnvironmentImages
from tests.faults.service import Service, log_of
from tests.harness.git_server import GitServer, Repository
from tests.harness.waiting import within

KILLS = int(os.environ.get("BINDER_TEST_KILLS", "24"))
SEED = int(os.environ.get("BINDER_TEST_SEED", "942071"))
RUNNING = 2
STEPS = 4
PHASES = ("resolve", "queue", "fetch", "build", "confirm", "cancel")
TARGETS = ("service", "process", "both", "stop")
# What every environment goes through: it is marked complete at the very end, and says so if anybody else makes it now.
FAKE_UV = """#!/bin/sh
for last; do :; done
case " $* " in
*" venv "*)
    mkdir -p "$last/bin"; sleep 0.05
    ln -s {python} "$last/bin/python" ;;
*" pip install "*)
    exec 9> "{folder}/$(basename "${{VIRTUAL_ENV%.*}}").lock"
    flock -n 9 || echo "$VIRTUAL_ENV" >> {folder}/doubles
    for step in 1 2 3; do echo "installing $step"; sleep 0.05; done
    : > "$VIRTUAL_ENV/complete" ;;
esac
"""
# The same for a commit's own part.
POST_BUILD = """#!/bin/sh
exec 8> "{folder}/$(git rev-parse HEAD).lock"
flock -n 8 || git rev-parse HEAD >> {folder}/doubles
for step in {steps}; do echo "step $step"; sleep 0.05; done
"""


@dataclass(frozen=True)
class Moment:
    """When to kill what.

    Attributes:
        delay_seconds: how long after `phase` was seen.
    """

    phase: str
    target: str
    delay_seconds: float
    real_uv: bool


def moments(choice: random.Random) -> list[Moment]:
    """Choose when to kill: every phase, then more of them at random; the phases follow each other in any order."""
    phases = [PHASES[number % len(PHASES)] for number in range(KILLS)]
    choice.shuffle(phases)
    targets = {"resolve": ("service", "stop"), "queue": ("service", "both", "stop")}
    return [
        Moment(phase, choice.choice(targets.get(phase, TARGETS)), choice.choice((0.0, choice.uniform(0, 0.3))), choice.random() < 0.15)
        for phase in phases
    ]


class Rounds:
    """Kills, one after the other, on one state directory.

    Attributes:
        accepted: all builds whose ask was answered, by id.
    """

    def __init__(self, service: Service, git: GitServer, folder: Path, choice: random.Random) -> None:
        self.service = service
        self.folder = folder
        self.accepted: dict[str, dict[str, Any]] = {}
        self.seen: Counter[str] = Counter()
        self._choice = choice
        self._git = git
        self._number = 0
        folder.mkdir()
        self.fake_uv = folder / "fake-uv"
        self.fake_uv.write_text(FAKE_UV.format(python=os.path.realpath("/usr/bin/env"), folder=folder))
        self.fake_uv.chmod(0o755)

    def repository(self) -> Repository:
        """Make a repository; some have an environment of their own, some share it with the one before."""
        self._number += 1
        files = {"README.md": str(self._number)}
        if self._choice.random() < 0.6:
            files["postBuild"] = POST_BUILD.format(folder=self.folder, steps=" ".join(map(str, range(1, STEPS + 1))))
        else:
            files["requirements.txt"] = f"# {self._number // 2}\n"
        return self._git.create(f"kills-{SEED}/project-{self._number}", files)

    async def play(self, moment: Moment) -> None:
        """Begin some builds, kill at the moment, start again, and see what becomes of them."""
        self.service.uv = "" if moment.real_uv else str(self.fake_uv)
        if not self.service.is_running():
            await self.service.start()
        repositories = [self.repository() for _ in range(RUNNING + 1 if moment.phase == "queue" else self._choice.randint(1, 2))]
        slow = moment.phase in {"resolve", "fetch"}
        if slow:
            repositories[0].slow(0.4)
        asks = [asyncio.create_task(self.ask(repository.url)) for repository in repositories]
        if moment.phase != "resolve":
            await asyncio.gather(*asks)
        builds = [ask.result() for ask in asks if ask.done()]
        await self.reach(moment, builds)
        cancelled = [builds[0]["id"]] if moment.phase == "cancel" else []
        calls = [asyncio.create_task(self.cancel(build_id)) for build_id in cancelled]
        await asyncio.sleep(moment.delay_seconds)
        killed = await self.kill(moment.target, builds)
        await self.check_nothing_half_made_is_offered()
        await asyncio.gather(*asks, *calls)
        for repository in repositories:
            repository.recover()
        if not self.service.is_running():
            await self.service.start()
        for build_id in {build["id"] for ask in asks if (build := ask.result())}:
            await self.check_ended(build_id, may_be_lost=build_id in killed, may_be_cancelled=build_id in cancelled)
        await self.ask_again(repositories)

    async def ask(self, url: str) -> dict[str, Any] | None:
        """Ask for a build; None if the service was killed before it answered, or says that it stops."""
        try:
            reply = await self.service.ask("POST", "builds", self._choice.choice(("alice", "bob")), json={"repo": url})
        except httpx.TransportError:
            return None
        if reply.status_code == 503:
            return None
        assert reply.is_success, reply.text
        build: dict[str, Any] = reply.json()
        self.accepted[build["id"]] = build
        return build

    async def cancel(self, build_id: str) -> None:
        """Cancel a build, as an administrator."""
        try:
            reply = await self.service.ask("DELETE", f"builds/{build_id}", "root-admin")
        except httpx.TransportError:
            return
        assert reply.status_code in {200, 409}, reply.text

    async def reach(self, moment: Moment, builds: list[dict[str, Any]]) -> None:
        """Wait until the first build is in the moment's phase, or beyond it."""
        if moment.phase == "resolve":
            await asyncio.sleep(0.1)
            return
        if moment.phase == "queue":
            states = [(await self.service.get(build["id"]))["state"] for build in builds]
            self.seen["queue with somebody in it"] += "queued" in states
            return
        directory = self.service.state / "builds" / builds[0]["id"]
        signs: dict[str, Callable[[], bool]] = {
            "fetch": lambda: "fetching" in _text(directory / "events.jsonl"),
            "build": lambda: '"building"' in _text(directory / "events.jsonl"),
            "confirm": lambda: (directory / "exit.json").exists(),
            "cancel": lambda: (directory / "pid").exists(),
        }
        async with within():
            for tries in count():
                if signs[moment.phase]():
                    break
                if tries % 20 == 0 and (await self.service.get(builds[0]["id"]))["state"] in {"ready", "failed"}:
                    return  # it was too quick
                await asyncio.sleep(0.005)
        self.seen[moment.phase] += 1

    async def kill(self, target: str, builds: list[dict[str, Any]]) -> set[str]:
        """Kill, and return the builds whose process it may have hit."""
        if target == "stop":
            await self.service.stop()
        if target in {"service", "both"}:
            self.service.kill()
        if target not in {"process", "both"}:
            return set()
        hit = set()
        for build in builds:
            pid = self.service.build_pid(build["id"])
            if pid is not None:
                hit.add(build["id"])
                self._kill_build(pid, build["id"])
        return hit

    def _kill_build(self, pid: int, build_id: str) -> None:
        if any(build_id in path for path in open_files(pid)):  # else it has ended, and its number is somebody else's
            os.kill(pid, signal.SIGKILL)
            self.seen["process that was killed"] += 1

    # --- what holds --------------------------------------------------------------------------------------------------

    async def check_ended(self, build_id: str, *, may_be_lost: bool, may_be_cancelled: bool) -> None:
        """Check that a build ends as it may, once, with its whole event log."""
        async with within():
            event_log = await self.service.event_log(build_id)
        build = await self.service.get(build_id)
        self.seen[build["state"]] += 1
        assert [event.number for event in event_log] == list(range(1, len(event_log) + 1))
        assert [event.number for event in event_log if event.kind == "end"] == [build["last_event"]] == [len(event_log)]
        assert event_log[-1].data["state"] == build["state"]
        if build["state"] == "ready":
            assert [line for line in log_of(event_log) if line.startswith("step ")] in ([], [f"step {number}" for number in range(1, STEPS + 1)])
        elif build["state"] == "failed":
            assert build["error"]["code"] == "builder_lost", build
            assert may_be_lost or may_be_cancelled, f"{build} was lost, and nobody killed its process"
        else:
            assert may_be_cancelled, f"{build} was cancelled by nobody"

    async def ask_again(self, repositories: list[Repository]) -> None:
        """Check that whatever became of the first ask, the next one is answered by an image."""
        for repository in repositories:
            async with within():
                build, _ = await self.service.finished(repository.url)
            self.accepted[build["id"]] = build
            assert build["state"] == "ready", build

    async def check_nothing_half_made_is_offered(self) -> None:
        """Check that every image that is there is whole."""
        images = EnvironmentImages(self.service.state, "")
        for link in (self.service.state / "images").glob("*"):
            if link.is_symlink():
                assert await images.exists(link.name), f"{link} leads to something that is not whole"
                assert (link / "content" / "README.md").exists()
        for link in (self.service.state / "environments").glob("*"):
            if link.is_symlink():
                assert (link / "bin" / "python").exists()
                assert (link / "complete").exists() or (link / "pyvenv.cfg").exists()

    def check_everything(self) -> None:
        """Check what must hold after all rounds."""
        assert _text(self.folder / "doubles") == "", "the same thing was made twice at the same time"
        with sqlite3.connect(self.service.state / "service.sqlite") as database:
            states = dict(database.execute("SELECT id, state FROM builds"))
            numbers = database.execute("SELECT build_id, min(number), max(number), count(*), sum(kind = 'end') FROM events GROUP BY 1").fetchall()
        database.close()
        assert set(self.accepted) <= set(states)
        assert set(states.values()) <= {"ready", "failed", "cancelled"}
        assert {build_id for build_id, *_ in numbers} == set(states)
        assert all(first == 1 and last == count and ends == 1 for _, first, last, count, ends in numbers)
        assert self.left_over("images") == self.left_over("environments") == []

    def left_over(self, folder: str) -> list[str]:
        """Return what was made and is not led to by any link."""
        root = self.service.state / folder
        led_to = {link.resolve() for link in root.glob("*") if link.is_symlink()}
        return [path.name for path in (root / ".made").glob("*") if path.suffix != ".lock" and path.resolve() not in led_to]


def open_files(pid: int) -> list[str]:
    """Return what a process has open, by which a build's process is known also where it waited for the build; nothing if it is gone."""
    found = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                found.append(str(link.readlink()))
    return found


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


async def test_whatever_is_killed_whenever_every_build_ends_once_with_its_whole_event_log(
    service: Service, git_server: GitServer, tmp_path: Path
) -> None:
    sys.stdout.write(f"BINDER_TEST_SEED={SEED}\n")
    choice = random.Random(SEED)
    service.settings["Limits"] = {"running": RUNNING}
    rounds = Rounds(service, git_server, tmp_path / "marks", choice)
    for number, moment in enumerate(moments(choice), start=1):
        sys.stdout.write(f"{number}: {moment}\n")
        await rounds.play(moment)
    await service.stop()
    rounds.check_everything()
    sys.stdout.write(f"{dict(rounds.seen)}\n")
    assert rounds.seen["process that was killed"] > 0
