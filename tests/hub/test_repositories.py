"""Every repository under `tests/repos`, built by the real service; the environment's own Python looks at the result."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness import cases
from tests.harness.git_server import GitServer
from tests.harness.hub import HubProcess


@pytest.mark.parametrize("name", cases.names(refused=False, bare=False))
def test_what_a_repository_asks_for_is_there(request: pytest.FixtureRequest, git_server: GitServer, tmp_path: Path, name: str) -> None:
    hub: HubProcess = request.getfixturevalue("lab_hub" if name == "plain" else "hub")  # what has nothing gets JupyterLab
    case, alice = cases.load(name), hub.token("alice")
    build = hub.finished(case.serve(git_server, "cases").url, alice)
    log = hub.service("GET", f"/api/builds/{build['id']}/log", alice).text
    assert build["state"] == "ready", f"{build['error']}\n{log}"
    image = json.loads((hub.state / "images" / build["image"] / "image.json").read_text())
    assert (image["commit"], image["repo"], image["start"]) == (build["commit"], build["repo"], case.start)
    if case.log:
        assert any(case.log in line for line in log.splitlines())
    shutil.copytree(image["content"], tmp_path / "copy", symlinks=True)
    python = Path(image["environment"]) / "bin" / "python"
    done = subprocess.run([python, case.verify], cwd=tmp_path / "copy", capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", cases.names(refused=True, bare=False))
def test_what_cannot_be_honoured_is_refused_by_name(hub: HubProcess, alice: str, git_server: GitServer, name: str) -> None:
    case = cases.load(name)
    repository = case.serve(git_server, "cases")
    if repository.commits:
        build = hub.finished(repository.url, alice)
        assert build["state"] == "failed"
        error = build["error"]
    else:  # nothing that could be built
        error = hub.service("POST", "/api/builds", alice, json={"repo": repository.url}).json()["error"]
    assert case.refused in f"{error['message']} {error['hint']}"
    assert error["hint"], "it says what to do"


def test_a_next_commit_with_the_same_environment_files_installs_nothing(hub: HubProcess, alice: str, git_server: GitServer) -> None:
    repository = git_server.create("cases/shared", cases.load("requirements").files())
    first = hub.finished(repository.url, alice)
    repository.commit({"README.md": "more\n"})
    second = hub.finished(repository.url, alice)
    assert first["environment"] == second["environment"]
    assert first["image"] != second["image"]


def test_the_page_of_a_merge_request_and_an_old_branch_in_a_link_start_what_they_mean(hub: HubProcess, alice: str, git_server: GitServer) -> None:
    repository = git_server.create("cases/pasted", {"README.md": "hi"})
    repository._git("update-ref", "refs/merge-requests/12/head", repository.commit({"new": "x"}, branch="proposal", parent="main"))
    address = repository.url.removesuffix(".git")
    build = hub.finished(f"{address}/-/merge_requests/12/diffs", alice)
    assert (build["repo"], build["ref"], build["commit"]) == (address, "refs/merge-requests/12/head", repository.rev("proposal"))
    refused = hub.service("POST", "/api/builds", alice, json={"repo": f"{address}/-/compare/main...proposal"})
    assert (refused.status_code, refused.json()["error"]["message"][:35]) == (400, "The address is that of a comparison")
    try:
        events = hub.launch("alice", {"repo": address, "ref": "master"})
        assert events[-1].get("ready"), events[-1]
        assert any("So this is its default branch" in event["message"] for event in events)
    finally:
        hub.stop_servers()
