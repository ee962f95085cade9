"""One service for each state, whatever is killed."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import httpx

from tests.fake_hub import FakeHub
from tests.faults.service import PREFIX, Service
from tests.harness.waiting import until, within


async def text_of(client: httpx.AsyncClient) -> str:
    """Return what the service says about its health; nothing while it does not listen."""
    try:
        return (await client.get("health")).text
    except httpx.TransportError:
        return ""


async def test_a_second_service_waits_says_why_and_takes_over(service: Service, fake_hub: FakeHub, tmp_path: Path) -> None:
    await service.start()
    second = Service(tmp_path / "second", fake_hub.api_url)
    second.state = service.state
    try:
        second.spawn()
        async with httpx.AsyncClient(base_url=f"{second.address}{PREFIX}") as client:
            async with within():
                while "Another service uses the same state" not in (reply := await text_of(client)):
                    await asyncio.sleep(0.1)
            assert "service_starting" in reply
            assert service.is_running()
            service.kill()
            await second.answers()
    finally:
        second.kill()


async def test_a_service_ends_with_the_hub_that_started_it(service: Service) -> None:
    hub = subprocess.Popen(["sleep", "600"])
    service.settings["BinderService"] = {"state_dir": str(service.state), "hub_pid": hub.pid}
    await service.start()
    hub.kill()
    hub.wait()
    await until(lambda: not service.is_running(), "the end of the service")
    assert "builds go on" in service.log()
