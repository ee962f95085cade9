"""A mistake in the service's settings is told where people look; the hub starts, and serves everybody who does not use the service."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.harness.hub import HubProcess
from tests.harness.waiting import wait_for


class HubAlone(HubProcess):
    """A hub that is up when it answers itself, whatever its service does."""

    def _is_up(self) -> bool:
        assert self.is_running(), self.log()
        try:
            return httpx.get(f"{self.url}/hub/health").is_success
        except httpx.TransportError:
            return False


def test_a_hub_starts_although_its_service_cannot(tmp_path: Path) -> None:
    with HubAlone(tmp_path, more={"service": {"Limits": {"runing": 2}}}) as hub:

        def refusal() -> bool:
            page = hub.service("GET", "/", headers={"Accept": "text/html"})
            assert page.status_code == 503
            return "Limits has no setting runing. Did you mean running?" in page.text

        wait_for(refusal, "the reason")
        assert hub.api("GET", "/users").is_success
        with hub.login("alice") as browser:
            assert browser.get(f"{hub.url}/hub/token").is_success
