"""Templates of binder-registry's API, launched in containers."""

from __future__ import annotations

import pytest

from tests.docker.servers.engine import TestEngine, reason_to_skip
from tests.harness.hub import HubProcess
from tests.legacy.conftest import KEY, Api

pytestmark = [pytest.mark.skipif(bool(reason_to_skip()), reason=reason_to_skip())]


def test_a_templates_server_has_its_command_and_at_most_its_limits(legacy_hub: HubProcess, fake_image: str, session_engine: TestEngine) -> None:
    registry, alice = Api(legacy_hub, "registry"), legacy_hub.token("alice")
    asked = {
        "name": "small",
        "image-name": fake_image,
        "command": "jupyterhub-singleuser '--by template'",
        "limits": {"memory": 2**28, "cpu_shares": 512},
    }
    large = {"name": "large", "image-name": fake_image, "limits": {"memory": 2**40, "cpu_shares": 9999}}
    for template in (asked, large):
        assert registry.ask("POST", "/templates", f"token {KEY}", json=template).status_code == 201
    found = []
    for name in ("small", "large"):
        reply = legacy_hub.service("POST", "/api/launches", alice, json={"template": name})
        assert reply.status_code == 201, reply.text
        server = reply.json()["server"]
        told = list(legacy_hub.progress("alice", server))
        assert told[-1].get("ready"), told
        [container] = session_engine.client.containers(filters={"label": f"binder.server={server}"})
        found.append(session_engine.client.inspect_container(container["Id"]))
    small, big = found
    assert small["Config"]["Cmd"][-2:] == ["jupyterhub-singleuser", "--by template"]
    assert (small["HostConfig"]["Memory"], small["HostConfig"]["CpuShares"]) == (2**28, 512)
    assert "MEM_LIMIT=268435456" in small["Config"]["Env"]
    assert big["Config"]["Cmd"][-1] == "jupyterhub-singleuser"
    assert (big["HostConfig"]["Memory"], big["HostConfig"]["CpuShares"]) == (2**30, 1024), "the operator's limits hold"
