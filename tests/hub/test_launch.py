"""From a repository's address to code that runs in a server made from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import cases
from tests.harness.git_server import GitServer, Repository
from tests.harness.hub import HubProcess
from tests.harness.kernel import run_code

WHERE = "import os; print(os.getcwd())"
NewRepository = Callable[..., Repository]


@pytest.fixture(autouse=True)
def _alice_has_no_servers_afterwards(hub: HubProcess) -> Iterator[None]:
    yield
    hub.stop_servers("alice")


@pytest.fixture(scope="module")
def requirements(git_server: GitServer) -> Repository:
    """A repository with a requirements.txt and a notebook."""
    return git_server.create("launch/requirements", cases.load("requirements").files())


@pytest.fixture(scope="module")
def bobs_server(shared_hub: HubProcess, requirements: Repository) -> Iterator[str]:
    """The URL of bob's server for `requirements`."""
    yield launched(shared_hub, "bob", {"repo": requirements.url, "ref": "main", "path": "analysis.ipynb"})
    shared_hub.stop_servers("bob")


def launched(hub: HubProcess, user: str, options: dict[str, Any], name: str = "") -> str:
    """Launch a server that has to come up; return its URL."""
    last = hub.launch(user, options, name)[-1]
    assert last.get("ready"), last
    return f"{hub.url}/user/{user}/{name}".rstrip("/")


def working_copy(hub: HubProcess, server_url: str, token: str) -> Path:
    """Return the directory that code in a server starts in."""
    folder = Path(run_code(server_url, token, WHERE).strip())
    assert folder.is_relative_to(hub.state / "people")
    return folder


def test_a_repository_becomes_a_server_with_its_requirements(bobs_server: str, bob: str) -> None:
    assert run_code(bobs_server, bob, "import six, cowsay; print(six.__version__)") == "1.16.0\n"


def test_a_server_starts_in_a_working_copy_of_the_repository(hub: HubProcess, bobs_server: str, bob: str) -> None:
    folder = working_copy(hub, bobs_server, bob)
    assert folder.parent == hub.state / "people" / "bob" / "default"
    assert folder.name.startswith("requirements-")
    assert (folder / "analysis.ipynb").exists()


def test_a_person_who_opens_a_server_lands_on_the_path_that_was_asked_for(lab_hub: HubProcess, git_server: GitServer) -> None:
    repository = git_server.create("launch/plain", {"analysis.ipynb": "{}"})
    server = launched(lab_hub, "bob", {"repo": repository.url, "ref": "main", "path": "analysis.ipynb"})
    with lab_hub.login("bob") as client:
        page = client.get(f"{server}/")
    assert (page.status_code, page.url.path) == (200, "/jh/user/bob/lab/tree/analysis.ipynb")


def test_the_hub_keeps_what_was_asked_for_and_nothing_else(hub: HubProcess, bobs_server: str, requirements: Repository) -> None:
    assert hub.servers("bob")[""]["user_options"] == {"repo": requirements.url, "ref": "main", "path": "analysis.ipynb"}


def test_nothing_of_the_hubs_secrets_is_in_a_server(hub: HubProcess, bobs_server: str, bob: str) -> None:
    environment = run_code(bobs_server, bob, "import os; print(dict(os.environ))")
    assert "JUPYTERHUB_API_TOKEN" in environment, "this is a server's environment"
    for secret in ("CONFIGPROXY_AUTH_TOKEN", "BINDERHUB_SERVICE_CONFIG", hub.admin_token):
        assert secret not in environment


def test_other_servers_and_other_people_have_copies_of_their_own(
    hub: HubProcess, bobs_server: str, alice: str, bob: str, requirements: Repository
) -> None:
    hers = working_copy(hub, launched(hub, "alice", {"repo": requirements.url, "ref": "main", "path": ""}, "one"), alice)
    his = working_copy(hub, bobs_server, bob)
    people = hub.state / "people"
    assert (hers, his) == (people / "alice" / "one" / his.name, people / "bob" / "default" / his.name)


def test_a_persons_work_survives_stop_and_start_and_new_commits(hub: HubProcess, alice: str, new_repository: NewRepository) -> None:
    repository = new_repository({"requirements.txt": "six==1.16.0\ncowsay\n", "notes.txt": "first\n"})
    options = {"repo": repository.url, "ref": "main", "path": ""}
    folder = working_copy(hub, server := launched(hub, "alice", options), alice)
    run_code(server, alice, "from pathlib import Path; Path('notes.txt').write_text('mine'); Path('new.txt').write_text('mine')")
    hub.stop_server("alice")
    repository.commit({"notes.txt": "second\n"})
    again = working_copy(hub, launched(hub, "alice", options), alice)
    assert again == folder
    assert [(folder / name).read_text() for name in ("notes.txt", "new.txt")] == ["mine", "mine"]


def test_a_copy_that_nobody_changed_follows_the_repository(hub: HubProcess, alice: str, new_repository: NewRepository) -> None:
    repository = new_repository({"requirements.txt": "six==1.16.0\ncowsay\n", "notes.txt": "first\n"})
    options = {"repo": repository.url, "ref": "main", "path": ""}
    folder = working_copy(hub, launched(hub, "alice", options), alice)
    hub.stop_server("alice")
    repository.commit({"notes.txt": "second\n", "more.txt": "more\n"})
    assert working_copy(hub, launched(hub, "alice", options), alice) == folder
    assert [(folder / name).read_text() for name in ("notes.txt", "more.txt")] == ["second\n", "more\n"]


def test_a_start_script_sets_the_stage_for_the_server(hub: HubProcess, alice: str, new_repository: NewRepository) -> None:
    server = launched(hub, "alice", {"repo": new_repository(cases.load("start-script").files()).url})
    assert run_code(server, alice, "import os; print(os.environ['SET_BY_START'])") == "quotes ' and spaces\n"


@pytest.mark.parametrize("ref", ["{foo}", "{0.__class__}", "{unescaped_username.__class__}", "%s", "$(id)", "'; id #"])
def test_a_ref_that_looks_like_code_does_no_harm(hub: HubProcess, ref: str, requirements: Repository) -> None:
    events = hub.launch("alice", {"repo": requirements.url, "ref": ref, "path": ""})
    assert events[-1].get("failed"), events[-1]
    assert "KeyError" not in str(events)
    assert hub.is_running()


def test_a_branch_in_braces_is_a_branch_also_where_others_built_its_commit_first(
    hub: HubProcess, bobs_server: str, alice: str, bob: str, requirements: Repository
) -> None:
    requirements.branch("{foo}/{0.__class__}")
    server = launched(hub, "alice", {"repo": requirements.url, "ref": "{foo}/{0.__class__}", "path": "{bar}.ipynb"})
    assert run_code(server, alice, "import os; print(os.environ['BINDER_REF'])") == "{foo}/{0.__class__}\n"
    hers, his = working_copy(hub, server, alice), working_copy(hub, bobs_server, bob)
    assert hers.name != his.name, "a copy belongs to the ref that was asked for"


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"image": "evil"}, "image"),
        ({"profile": "big"}, "profile"),
        ({"repo": "https://robot:correct-horse@host.invalid/o/r"}, "token or a password"),
        ({"repo": "-oProxyCommand=id"}, "dash"),
        ({"repo": 7}, "text"),
        ({"ref": "--upload-pack=id"}, "name"),
        ({"path": "../../etc/passwd"}, ".."),
        ({"path": "https://evil.invalid/"}, "path"),
    ],
)
def test_options_that_cannot_be_used_are_refused_and_not_kept(hub: HubProcess, requirements: Repository, more: dict[str, Any], word: str) -> None:
    reply = hub.start_server("alice", {"repo": requirements.url, "ref": "", "path": ""} | more)
    assert reply.status_code == 400, reply.text
    assert word in reply.json()["message"]
    assert "correct-horse" not in reply.text + hub.api("GET", "/users/alice").text + hub.log()
    assert hub.servers("alice") == {}


def test_a_launch_by_the_api_starts_the_callers_named_server(hub: HubProcess, alice: str, requirements: Repository) -> None:
    asked = {"repo": requirements.url, "ref": "main", "path": "analysis.ipynb"}
    reply = hub.service("POST", "/api/launches", alice, json=asked)
    assert reply.status_code == 201, reply.text
    launch = reply.json()
    assert launch["url"] == f"/user/alice/{launch['server']}/lab/tree/analysis.ipynb"
    assert launch["pending_url"].startswith(f"/hub/spawn-pending/alice/{launch['server']}")
    assert hub.servers("alice")[launch["server"]]["user_options"] == asked
    assert list(hub.progress("alice", launch["server"]))[-1].get("ready")
    again = hub.service("POST", "/api/launches", alice, json=asked)
    assert (again.status_code, again.json()) == (201, launch | {"already_running": True}), "the same ask comes back to the same server"


def test_a_launch_of_a_ref_that_is_not_there_says_so(hub: HubProcess, alice: str, requirements: Repository) -> None:
    reply = hub.service("POST", "/api/launches", alice, json={"repo": requirements.url, "ref": "nope"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "launch_refused"), reply.text
    assert "no branch or tag 'nope'" in reply.json()["error"]["message"]


def test_a_launch_whose_server_ends_at_once_says_so_and_does_not_blame_the_hub(hub: HubProcess, alice: str, new_repository: NewRepository) -> None:
    repository = new_repository({"start": "#!/bin/sh\nexit 3\n"})
    assert hub.finished(repository.url, alice)["state"] == "ready"
    reply = hub.service("POST", "/api/launches", alice, json={"repo": repository.url})
    assert reply.status_code == 422, reply.text
    error = reply.json()["error"]
    assert error["code"] == "launch_failed"
    assert "could not start the server: The server ended with status 3 while it started." in error["message"]


def test_a_launch_without_the_right_to_start_servers_is_refused(hub: HubProcess, requirements: Repository) -> None:
    token = hub.token("alice", ["access:services!service=binder", "custom:binder:build"])
    assert hub.service("POST", "/api/launches", token, json={"repo": requirements.url}).status_code == 403


AUTHORED = {
    "requirements.txt": "-e .\n",
    "pyproject.toml": "[project]\nname = 'demo'\nversion = '1'\n[build-system]\nrequires = ['setuptools']\nbuild-backend = 'setuptools.build_meta'\n",
    "src/demo/__init__.py": "WORD = 'original'\n",
    "postBuild": '#!/bin/bash\nset -eu\nmkdir -p ~/corpora\necho "$REPO_DIR" > ~/corpora/where\n',
    "start": '#!/bin/bash\nexport STARTED_IN="$REPO_DIR with $NB_PYTHON_PREFIX"\nexec "$@"\n',
}
LOOK = "import demo, os, pathlib; print(demo.__file__, demo.WORD, os.environ['STARTED_IN'], (pathlib.Path.home() / 'corpora' / 'where').exists())"


def test_a_server_is_what_its_author_and_its_person_made_even_when_the_repository_is_gone(hub: HubProcess, alice: str, git_server: GitServer) -> None:
    repository = git_server.create("launch/authored", AUTHORED)
    options = {"repo": repository.url, "ref": "main"}
    url = launched(hub, "alice", options)
    copy = working_copy(hub, url, alice)
    file, word, started_in, *_, home = run_code(url, alice, LOOK).split()
    assert (file, word, started_in, home) == (f"{copy}/src/demo/__init__.py", "original", str(copy), "True")
    (copy / "src" / "demo" / "__init__.py").write_text("WORD = 'edited'\n")
    hub.stop_server("alice")
    repository.answer(404)
    told = hub.launch("alice", options)
    assert told[-1].get("ready"), told[-1]
    assert any("So this is what you had last, commit" in event.get("message", "") for event in told)
    assert run_code(url, alice, LOOK).split()[1] == "edited"
