"""A harness that does not see what was left behind would let every leak pass."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from binderhub_service.worker.job import JobDirectory
from tests.harness.processes import assert_none_left, end_builds, processes_of
from tests.harness.waiting import HANGS_SECONDS, wait_for


def sleeper(directory: Path, detached: bool = False) -> subprocess.Popen[bytes]:
    """Start a process that only its environment connects with `directory`."""
    return subprocess.Popen(["sleep", "60"], env={"PATH": "/usr/bin:/bin", "STATE": str(directory)}, start_new_session=detached)


def test_a_process_left_behind_is_named_and_ended(tmp_path: Path) -> None:
    left = sleeper(tmp_path)
    with pytest.raises(AssertionError, match="sleep 60"):
        assert_none_left(tmp_path, timeout_seconds=0)
    assert left.wait(HANGS_SECONDS) == -9
    assert_none_left(tmp_path, timeout_seconds=0)


def test_processes_of_other_directories_are_left_alone(tmp_path: Path) -> None:
    stranger = sleeper(tmp_path / "other")
    try:
        assert_none_left(tmp_path / "mine", timeout_seconds=0)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_detached_build_ends_by_the_id_it_left(tmp_path: Path) -> None:
    job = tmp_path / "builds" / "b1"
    job.mkdir(parents=True)
    build = subprocess.Popen(["flock", "--no-fork", str(job / "lock"), "sleep", "60"], start_new_session=True)
    (job / "pid").write_text(f"{build.pid}\n")
    wait_for(JobDirectory(job).is_running, "the build to have its lock")
    end_builds(tmp_path)
    assert build.wait(HANGS_SECONDS) == -9
    assert processes_of(tmp_path) == []


def test_a_stale_id_of_somebody_elses_process_is_left_alone(tmp_path: Path) -> None:
    stranger = sleeper(tmp_path / "other", detached=True)
    state = tmp_path / "mine"
    (state / "builds" / "b1").mkdir(parents=True)
    (state / "builds" / "b1" / "pid").write_text(str(stranger.pid))
    end_builds(state)
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()
