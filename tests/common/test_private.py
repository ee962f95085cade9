"""What the hub and the service keep is for their own user alone."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from binderhub_service.common.private import keep_private, private_folder
from tests.harness.git_server import Repository
from tests.harness.hub import HubProcess
from tests.harness.hub_config import WITHOUT_LAB
from tests.harness.waiting import wait_for

STRANGER = 65534


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_a_new_folder_is_private(tmp_path: Path) -> None:
    assert mode(private_folder(tmp_path / "a" / "b")) == 0o700


@pytest.mark.parametrize(("before", "after"), [(0o755, 0o700), (0o777, 0o700), (0o750, 0o700), (0o711, 0o711), (0o500, 0o500), (0o1777, 0o1777)])
def test_a_folder_that_is_there_is_made_private_but_may_be_left_to_be_traversed(tmp_path: Path, before: int, after: int) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(before)
    assert mode(private_folder(folder)) == after


def test_files_are_made_private_and_links_are_not_followed(tmp_path: Path) -> None:
    file, linked, link = tmp_path / "file", tmp_path / "linked", tmp_path / "link"
    for path in (file, linked):
        path.touch()
        path.chmod(0o644)
    link.symlink_to(linked)
    keep_private([file, link, tmp_path / "missing"])
    assert (mode(file), mode(linked)) == (0o600, 0o644)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_what_belongs_to_somebody_else_is_left_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    os.chown(tmp_path, STRANGER, STRANGER)
    private_folder(tmp_path)
    assert mode(tmp_path) == 0o755


@pytest.fixture
def hub_with_open_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub whose state begins with folders and a database that everybody may read, as an earlier version left them."""
    hub = HubProcess(tmp_path_factory.mktemp("own-hub"), more={"service": WITHOUT_LAB})
    for path in [hub.state, *(hub.state / name for name in ("builds", "people", "environments", "images"))]:
        path.mkdir()
        path.chmod(0o755)
    (hub.state / "service.sqlite").touch()
    (hub.state / "service.sqlite").chmod(0o644)
    with hub:
        yield hub


def test_a_hub_keeps_everything_in_its_state_from_others(hub_with_open_state: HubProcess, new_repository: Callable[..., Repository]) -> None:
    hub = hub_with_open_state
    repository = new_repository({"README.md": "hello\n"})
    commit = repository.rev("main")
    assert hub.launch("alice", {"repo": repository.url})[-1]["ready"]
    repository.hang()
    build = hub.build(repository.url, hub.token("alice"), ref=commit, force=True)
    job = hub.state / "builds" / build["id"]
    wait_for((job / "events.jsonl").exists, "the build to begin")
    files = [path for path in job.iterdir() if path.is_file()]
    assert {path.name for path in files} >= {"job.json", "events.jsonl", "output"}
    private = [hub.state, *hub.state.iterdir(), *files, *(hub.state / "people").iterdir(), job]
    assert {str(path): oct(mode(path)) for path in private if not path.is_symlink() and mode(path) & 0o066} == {}
    assert [path for path in private if path.is_file() and mode(path) & 0o077] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_stranger_of_the_machine_reads_nothing_of_the_state(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    state = private_folder(tmp_path / "state")
    (state / "secret").write_text("secret")
    code = f"import os, pathlib; os.setgid({STRANGER}); os.setuid({STRANGER}); print(pathlib.Path({str(state / 'secret')!r}).read_text())"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert "PermissionError" in done.stderr
    assert "secret\n" not in done.stdout
