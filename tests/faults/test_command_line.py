"""`binder build` while the service is killed in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.service import Service
from tests.harness.command_line import CommandLine, shown
from tests.harness.gate import AFTER, BEFORE, Gate
from tests.harness.git_server import Repository


@pytest.mark.parametrize("how", ["killed", "stopped"])
async def test_a_build_is_followed_over_the_end_of_the_service(
    service: Service, tmp_path: Path, gate: Gate, new_repository: Callable[..., Repository], how: str
) -> None:
    await service.start()
    repository = new_repository({"postBuild": gate.post_build})
    terminal = CommandLine(tmp_path / "config", service.address, "token-of-alice").terminal("build", repository.url)
    await asyncio.to_thread(terminal.expect_exact, BEFORE)
    if how == "killed":
        service.kill()
    else:
        await service.stop()
    await asyncio.to_thread(terminal.expect_exact, "The connection is gone; trying again")
    gate.open()
    await service.start()
    text, status = await asyncio.to_thread(shown, terminal)
    assert status == 0, text
    assert "The image is there: " in text
    assert (text.count(AFTER), BEFORE in text) == (1, False)
