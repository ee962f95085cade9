"""Commands whose output is told while it is read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from binderhub_service.worker.guards import Guard
from binderhub_service.worker.job import ProcessLimits
from binderhub_service.worker.reporter import Finished, Reporter

SCRIPTS = ["seq 1 30000", "seq 1 30000; printf half", "yes '' | head -n 30000; echo why; echo", "printf half", "true"]


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_end_of_an_output_is_known_however_much_of_it_was_told(tmp_path: Path, script: str) -> None:
    def run(log_bytes: int) -> Finished:
        with (tmp_path / f"told-{log_bytes}").open("ab", buffering=0) as told:
            guard = Guard(ProcessLimits(), tmp_path)
            return Reporter(told, log_bytes).run(["sh", "-c", script], cwd=tmp_path, environment=dict(os.environ), guard=guard)

    assert run(100) == run(0)
