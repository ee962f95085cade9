"""Locks between processes, whose files are removed while others take them."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from binderhub_service.images.locks import locked, remove_idle_locks
from tests.harness.waiting import HANGS_SECONDS

WORKERS, TURNS = 4, 300
# Takes the lock many times; two at a time would meet at the directory that each makes and removes under it.
WORKER = """
import sys
from pathlib import Path
from binderhub_service.images.locks import locked
folder = Path(sys.argv[1])
for _ in range(int(sys.argv[2])):
    with locked(folder, "key"):
        (folder / "here").mkdir()
        (folder / "here").rmdir()
"""


def test_a_lock_that_nobody_has_is_removed_and_made_again(tmp_path: Path) -> None:
    with locked(tmp_path, "key"):
        remove_idle_locks(tmp_path)
        assert (tmp_path / "key.lock").exists()
    remove_idle_locks(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with locked(tmp_path, "key"):
        assert (tmp_path / "key.lock").exists()


def test_a_folder_that_is_not_there_has_no_locks(tmp_path: Path) -> None:
    remove_idle_locks(tmp_path / "nowhere")


def test_who_waits_for_a_lock_that_is_removed_meanwhile_takes_the_next_one(tmp_path: Path) -> None:
    waits = threading.Event()
    has_it = threading.Event()

    def wait() -> None:
        with locked(tmp_path, "key", waits.set):
            has_it.set()

    with locked(tmp_path, "key"):
        thread = threading.Thread(target=wait)
        thread.start()
        assert waits.wait(HANGS_SECONDS)
        (tmp_path / "key.lock").unlink()
        other = locked(tmp_path, "key")  # this one has the new file, so the waiting thread goes on waiting when the old one is free
        other.__enter__()
    assert not has_it.wait(0.3)
    other.__exit__(None, None, None)
    assert has_it.wait(HANGS_SECONDS)
    thread.join()


def test_two_never_have_a_lock_at_a_time_while_idle_ones_are_removed(tmp_path: Path) -> None:
    processes = [subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path), str(TURNS)]) for _ in range(WORKERS)]
    while any(process.poll() is None for process in processes):
        remove_idle_locks(tmp_path)
    assert [process.returncode for process in processes] == [0] * WORKERS
