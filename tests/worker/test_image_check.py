"""What a new image answers to ``jupyterhub-singleuser --version`` decides whether servers can start from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from binderhub_service.errors import BuildFailed
from binderhub_service.worker.recipes.image_check import judge, start_script
from binderhub_service.worker.reporter import Reporter


@pytest.fixture
def reporter(tmp_path: Path) -> Iterator[Reporter]:
    with (tmp_path / "reports").open("ab", buffering=0) as file:
        yield Reporter(file)


@pytest.mark.parametrize("output", ["5.5.0", "Welcome!\r\n6.1.0.dev\r\n", "5.5.0\nGoodbye"])
def test_a_version_is_a_server_that_starts(reporter: Reporter, tmp_path: Path, output: str) -> None:
    judge(0, output, 60, reporter)
    assert "jupyterhub-singleuser " in (tmp_path / "reports").read_text()


@pytest.mark.parametrize("output", ["", "Hello from the entry point", "usage: start [options]"])
def test_an_entry_point_that_ends_well_and_runs_nothing_is_refused_by_name(reporter: Reporter, output: str) -> None:
    with pytest.raises(BuildFailed, match="ENTRYPOINT does not run its arguments"):
        judge(0, output, 60, reporter)


@pytest.mark.parametrize(("status", "said"), [(127, "is not there"), (1, "does not work"), (None, "did not end within 60 seconds")])
def test_what_does_not_end_well_says_how(reporter: Reporter, status: int | None, said: str) -> None:
    with pytest.raises(BuildFailed, match=said):
        judge(status, "Traceback ...", 60, reporter)


@pytest.mark.parametrize(
    ("status", "said"),
    [(0, "so its script start does not run its arguments"), (1, "does not work, or the script start fails"), (127, "the script start")],
)
def test_a_start_script_that_runs_nothing_or_fails_is_named(reporter: Reporter, status: int, said: str) -> None:
    script = start_script({"Env": ["A=b", "R2D_ENTRYPOINT=/home/jovyan/binder/start"]})
    with pytest.raises(BuildFailed, match=said) as caught:
        judge(status, "/home/jovyan/start: line 2: conda: command not found", 60, reporter, script)
    assert 'exec "$@"' in str(caught.value.hint)
    assert ("conda: command not found" in str(caught.value.hint)) is bool(status)
