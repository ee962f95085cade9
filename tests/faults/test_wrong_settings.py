"""Settings that no service can start with: it goes on answering, and says why."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import httpx
import pytest

from tests.faults.service import PREFIX, REPLY_SECONDS, Service
from tests.harness.waiting import within

WRONG: dict[str, tuple[dict[str, dict[str, Any]], str]] = {
    "a database's kind": ({"BinderService": {"database_url": "postgres://u:s3cret@h/x"}}, "BinderService.database_url names a kind of database"),
    "a database's package": ({"BinderService": {"database_url": "mssql+pymssql://u:s3cret@h/x"}}, "needs the package pymssql"),
    "a bound of requests": ({"Server": {"body_bytes": "many"}}, "body_bytes"),
    "a network": ({"Server": {"ban_networks": {"192.0.2.0/99": "x"}}}, "192.0.2.0/99"),
    "a handler of events": ({"EventLogger": {"handlers": "print"}}, "'handlers' trait"),
    "a mode's registry": ({"BinderService": {"mode": "kubernetes"}}, "Kubernetes mode needs KubernetesMode.registry"),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_service_that_cannot_start_says_why_and_goes_on_answering(service: Service, wrong: str) -> None:
    settings, why = WRONG[wrong]
    service.settings = {**settings, "BinderService": {"state_dir": str(service.state), **settings.get("BinderService", {})}}
    service.spawn()
    said = ""
    async with within(), httpx.AsyncClient(timeout=REPLY_SECONDS) as client:
        while why not in said:
            assert service.is_running(), service.log()
            with contextlib.suppress(httpx.TransportError):
                reply = await client.get(f"{service.address}{PREFIX}health")
                assert reply.status_code == 503
                said = reply.json()["error"]["message"]
            await asyncio.sleep(0.1)
    assert "Traceback" not in service.log()
    assert "s3cret" not in said + service.log()
    await service.stop()


async def test_what_a_database_says_is_in_the_log_once(service: Service) -> None:
    service.state.mkdir(mode=0o700)
    (service.state / "service.sqlite").write_bytes(b"no database " * 1000)
    service.spawn()
    async with within():
        while "did not answer" not in service.log():
            await asyncio.sleep(0.1)
    await service.stop()
    assert service.log().count("The database's driver says: file is not a database") == 1
