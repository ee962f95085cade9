"""The npm client `binder-client`, as it is published, against binder-build's API."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.harness.git_server import GitServer
from tests.harness.hub import HubProcess
from tests.harness.waiting import wait_for
from tests.legacy.conftest import KEY

VERSION = "1.0.3"
SCRIPT = """
const client = require('binder-client')
const [name, options] = [process.argv[2], JSON.parse(process.argv[3])]
const [api, call] = name.split('.')
client[api][call](options, (error, body) => console.log(JSON.stringify(error ? {error: error.message} : body)))
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the client is installed."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not on PATH")
    folder = tmp_path_factory.mktemp("binder-client")
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), f"binder-client@{VERSION}"]
    installed = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert installed.returncode == 0, installed.stderr
    (folder / "call.js").write_text(SCRIPT)
    return folder


def test_the_client_builds_follows_and_reads_templates(legacy_hub: HubProcess, client: Path, git_server: GitServer) -> None:
    repository = git_server.create("binder-client/example", {"README.md": "hello"}).url.removesuffix(".git")
    address = urlsplit(f"{legacy_hub.service_url}/binder-build")
    where = {"host": f"http://{address.hostname}", "port": f"{address.port}{address.path}", "api-key": KEY}

    def call(name: str, **more: Any) -> Any:
        command = ["node", "call.js", name, json.dumps(where | more)]
        done = subprocess.run(command, cwd=client, capture_output=True, text=True, timeout=60, check=True)
        return json.loads(done.stdout)

    begun = call("build.start", repository=repository, force=False)
    assert (begun["name"], begun["status"]) == ("binder-client-example", "running")
    wait_for(lambda: call("build.status", **{"image-name": begun["name"]})["status"] == "completed", "the client's build", 100)
    assert begun["name"] in [build["name"] for build in call("build.statusAll")]
    assert call("build.status", **{"image-name": "nobody"}) == {"error": "Could not get build information for requested image"}
    template = call("registry.fetch", **{"template-name": begun["name"]})
    assert template["name"] == begun["name"]
    assert template in call("registry.fetchAll")
    assert "error" in call("build.statusAll", **{"api-key": "wrong"})
