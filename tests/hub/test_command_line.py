"""The program `binder` against a real hub: in a terminal, and as scripts run it."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.cable import Cable
from tests.harness.command_line import CommandLine, shown
from tests.harness.gate import AFTER, BEFORE, Gate
from tests.harness.git_server import Repository
from tests.harness.hub import HubProcess
from tests.harness.waiting import wait_for

NewRepository = Callable[..., Repository]
LOUD = "#!/bin/sh\nprintf '\\033[31mred\\033[0m \\033[2J\\033]0;title\\007\\033[1Gwords\\a\\n'\n"


@pytest.fixture
def binder(hub: HubProcess, alice: str, tmp_path: Path) -> CommandLine:
    """`binder` of alice's."""
    return CommandLine(tmp_path, hub.url, alice)


@pytest.fixture
def failed(hub: HubProcess, alice: str, new_repository: NewRepository) -> dict[str, Any]:
    """A build of alice's that failed: there are no containers here."""
    return hub.finished(new_repository({"Dockerfile": "FROM x"}).url, alice)


# Builds


def test_a_build_is_followed_to_its_end_in_a_terminal(binder: CommandLine, gate: Gate, new_repository: NewRepository) -> None:
    terminal = binder.terminal("build", new_repository({"postBuild": gate.post_build}).url)
    terminal.expect_exact(BEFORE)
    terminal.expect(r"Making the environment[^\r\n]*0:0\d:\d\d")  # the line that says how far it is
    gate.open()
    text, status = shown(terminal)
    assert AFTER in text
    assert "The image is there: " in text
    assert status == 0


def test_of_a_builds_output_a_terminal_gets_text_and_colours_only(binder: CommandLine, new_repository: NewRepository) -> None:
    address = new_repository({"postBuild": LOUD}).url
    text, status = shown(binder.terminal("build", address))
    assert status == 0
    assert re.search(r"\x1b\[31mred\x1b\[0m words", text)
    assert not re.search(r"\x1b\[2J|\x1b\]|\x07|\x1b\[1G|title", text)
    [build] = json.loads(binder.output("builds", "--repo", address, "--json"))
    assert "red words" in binder.output("log", build["id"]).splitlines()


def test_a_script_gets_the_log_and_nothing_else_on_stdout(hub: HubProcess, alice: str, binder: CommandLine, new_repository: NewRepository) -> None:
    repository = new_repository({"README.md": "hello\n"})
    done = binder.run("build", repository.url, "--ref", "main")
    assert done.returncode == 0
    assert "Fetching the repository" in done.stderr.splitlines()
    [build] = hub.service("GET", "/api/builds", alice, params={"repo": repository.url}).json()
    assert done.stdout == hub.service("GET", f"/api/builds/{build['id']}/log?plain=1", alice).text
    again = binder.run("build", repository.url, "--json")
    assert (again.returncode, json.loads(again.stdout)["id"]) == (0, build["id"])


def test_a_build_that_fails_says_why_and_ends_with_1(binder: CommandLine, new_repository: NewRepository) -> None:
    done = binder.run("build", new_repository({"Dockerfile": "FROM x"}).url, "--json")
    build = json.loads(done.stdout)
    assert (done.returncode, build["state"], build["error"]["code"]) == (1, "failed", "environment_not_supported")
    assert done.stderr.splitlines()[-1].startswith(f"binder: The build failed. {build['error']['message']}")


def test_ctrl_c_ends_the_following_and_not_the_build(
    hub: HubProcess, alice: str, binder: CommandLine, gate: Gate, new_repository: NewRepository
) -> None:
    terminal = binder.terminal("build", new_repository({"postBuild": gate.post_build}).url)
    terminal.expect_exact(BEFORE)
    terminal.sendintr()
    text, status = shown(terminal)
    assert status == 130
    told = re.search(r"`binder log --follow --after (\d+) ([0-9a-f]+)`, or end it by `binder cancel \2`", " ".join(text.split()))
    assert told, text
    number, build_id = told.groups()
    assert hub.service("GET", f"/api/builds/{build_id}", alice).json()["state"] == "running"

    following = binder.terminal("log", "--follow", "--after", number, build_id)
    following.expect("0:00:")
    assert binder.run("cancel", build_id).stderr == "The build is cancelled.\n"
    text, status = shown(following)
    assert "The build was cancelled." in text
    assert BEFORE not in text
    assert status == 1


def test_a_cut_connection_loses_no_line_and_repeats_none(
    hub: HubProcess, alice: str, tmp_path: Path, gate: Gate, new_repository: NewRepository
) -> None:
    with Cable(hub.url).running() as cable:
        terminal = CommandLine(tmp_path, cable.url, alice).terminal("build", new_repository({"postBuild": gate.post_build}).url)
        terminal.expect_exact(BEFORE)
        before = cable.connections
        cable.cut()
        wait_for(lambda: cable.connections > before, "a new connection")
        gate.open()
        text, status = shown(terminal)
    assert status == 0
    assert text.count(AFTER) == 1
    assert BEFORE not in text


def test_a_build_can_be_begun_without_following_it(binder: CommandLine, failed: dict[str, Any], new_repository: NewRepository) -> None:
    build_id = binder.output("build", "--detach", new_repository({"README.md": "hi"}, name="other").url).strip()
    assert binder.run("log", "--follow", build_id).returncode == 0
    ended = binder.run("log", "--follow", failed["id"])
    assert (ended.returncode, "The build failed." in ended.stderr) == (1, True)
    assert binder.run("log", failed["id"]).returncode == 0


def test_builds_are_listed_as_a_table_as_lines_and_as_json(binder: CommandLine, failed: dict[str, Any]) -> None:
    text, status = shown(binder.terminal("builds", "--state", "failed", "--repo", failed["repo"]))
    assert status == 0
    assert re.search(r"BUILD.*STATE.*REPOSITORY.*REF", text)
    assert failed["id"] in text
    lines = binder.output("builds", "--repo", failed["repo"]).splitlines()
    assert [line.split("\t")[:3] for line in lines] == [[failed["id"], "failed", failed["repo"]]]
    assert json.loads(binder.output("builds", "--repo", failed["repo"], "--json")) == [failed]
    events = [json.loads(line) for line in binder.output("log", failed["id"], "--json").splitlines()]
    assert [event["number"] for event in events] == list(range(1, failed["last_event"] + 1))
    assert events[-1]["event"] == "end"


def test_images_are_for_administrators_and_templates_for_all(hub: HubProcess, binder: CommandLine, admin: str, finished: dict[str, Any]) -> None:
    refused = binder.run("images")
    assert (refused.returncode, refused.stderr.startswith("binder: Images are looked after by administrators")) == (3, True)
    assert finished["image"] in {one["name"] for one in json.loads(binder.output("images", "--json", BINDER_TOKEN=admin))}
    assert finished["image"] in {line.split("\t")[0] for line in binder.output("images", BINDER_TOKEN=admin).splitlines()}
    assert json.loads(binder.output("templates", "--json")) == []


def test_an_administrator_bans_a_repository_and_people_read_why(binder: CommandLine, admin: str, new_repository: NewRepository) -> None:
    address = new_repository({"README.md": "hello\n"}).url
    refused = binder.run("control", "list")
    assert (refused.returncode, refused.stderr.startswith("binder: Controls are looked after by administrators")) == (3, True)
    binder.output("control", "set", "ban-repository", address, "--text", "Not today.", BINDER_TOKEN=admin)
    assert binder.output("control", "list", BINDER_TOKEN=admin).splitlines()[-1].split("\t")[:3] == ["ban-repository", address, "Not today."]
    done = binder.run("build", address)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        3,
        "binder: This repository may not be used here: Not today. Ask an administrator of the hub.",
    )
    binder.output("control", "remove", "ban-repository", address, BINDER_TOKEN=admin)
    assert binder.output("drain", "--text", "Tonight.", BINDER_TOKEN=admin) == "The service is drained: it can be stopped.\n"
    assert "is about to be stopped: Tonight." in binder.run("build", address).stderr
    binder.output("resume", BINDER_TOKEN=admin)
    assert json.loads(binder.output("control", "list", "--json", BINDER_TOKEN=admin)) == []
    assert binder.run("build", address, "--detach").returncode == 0


def test_an_administrator_prepares_an_environment_that_people_launch_though_its_server_is_away(
    hub: HubProcess, binder: CommandLine, admin: str, new_repository: NewRepository
) -> None:
    repository = new_repository({"README.md": "hello\n"})
    binder.output("prepared", "set", "course", repository.url, "--description", "Statistics", BINDER_TOKEN=admin)
    [listed] = wait_for(lambda: [one for one in json.loads(binder.output("prepared", "list", "--json")) if one["image"]], "the environment")
    assert (listed["name"], listed["commit"], listed["set_by"]) == ("course", repository.rev("main"), "root-admin")
    repository.hang()
    launched = json.loads(binder.output("launch", "course", "--provider", "prepared", "--json"))
    assert hub.servers("alice")[launched["server"]]["user_options"]["provider"] == "prepared"
    hub.stop_servers()
    hook = json.loads(binder.output("prepared", "hook", "course", "--json", BINDER_TOKEN=admin))
    assert hook["url"].endswith("/services/binder/api/hooks/course")
    refused = binder.run("prepared", "remove", "course")
    assert (refused.returncode, refused.stderr.startswith("binder: Prepared environments are looked after by administrators")) == (3, True)
    binder.output("prepared", "remove", "course", BINDER_TOKEN=admin)
    assert json.loads(binder.output("prepared", "list", "--json")) == []


# Servers


@pytest.fixture
def browser(tmp_path: Path) -> Path:
    """A browser that writes down what it opens, in the file ``opened`` beside it."""
    program = tmp_path / "browser"
    program.write_text(f'#!/bin/sh\necho "$1" >> "{tmp_path / "opened"}"\n')
    program.chmod(0o755)
    return program


@pytest.fixture(autouse=True)
def _no_servers_afterwards(hub: HubProcess, request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "server" in request.node.name:
        hub.stop_servers("alice")


def test_a_server_is_launched_opened_and_stopped_and_is_the_only_one_where_a_person_may_have_no_other(
    hub: HubProcess, binder: CommandLine, browser: Path, admin: str, new_repository: NewRepository
) -> None:
    repository = new_repository({"a.ipynb": "{}"})
    text, status = shown(binder.terminal("launch", repository.url, "--path", "a.ipynb", BROWSER=str(browser)))
    assert status == 0
    opened = wait_for(lambda: [*(browser.parent.glob("opened"))] and (browser.parent / "opened").read_text(), "the browser").strip()
    [name] = hub.servers("alice")
    assert opened == f"{hub.url}/user/alice/{name}/lab/tree/a.ipynb"
    assert opened in text
    assert hub.servers("alice")[name]["ready"], "it waits for the server"
    again = json.loads(binder.output("launch", repository.url, "--path", "a.ipynb", "--json", BROWSER=str(browser)))
    assert (again["server"], again["already_running"], again["url"]) == (name, True, f"{hub.url}/user/alice/{name}/lab/tree/a.ipynb")
    assert binder.output("open", BROWSER=str(browser)) == f"{hub.url}/user/alice/{name}/\n"
    binder.output("control", "set", "servers-of-person", "alice", "--text", "1", BINDER_TOKEN=admin)
    sentence = "You may have 1 servers at a time, and as many run or start."
    other = new_repository({"README.md": "hello\n"}, "other").url
    assert sentence in binder.run("launch", other).stderr
    assert sentence in hub.launch("alice", {"repo": other}, "other")[-1]["message"], "the hub's own start is refused as well"
    binder.output("control", "remove", "servers-of-person", "alice", BINDER_TOKEN=admin)
    assert binder.run("open", "nobody").stderr == f"binder: No server nobody of yours runs. There are {name}.\n"
    assert (browser.parent / "opened").read_text().strip() == opened, "scripts open no browser"

    stopped = binder.run("stop", name)
    assert (stopped.returncode, bool(re.search(f"The server {name} (has stopped|is being stopped)", stopped.stderr))) == (0, True)
    wait_for(lambda: not hub.servers("alice"), "the end of the server")
    assert binder.run("open").stderr == "binder: No server of yours runs.\n"


def test_no_server_is_launched_when_the_build_fails(hub: HubProcess, binder: CommandLine, failed: dict[str, Any]) -> None:
    done = binder.run("launch", failed["repo"])
    assert (done.returncode, "The build failed." in done.stderr) == (1, True)
    assert hub.servers("alice") == {}
    assert binder.run("launch").returncode == 2
    unknown = binder.run("launch", "--template", "nobody")
    assert (unknown.returncode, unknown.stderr) == (3, "binder: There is no template 'nobody'. Check its spelling.\n")


# Signing in


def test_a_login_in_a_terminal_says_which_page_makes_tokens_and_keeps_one(hub: HubProcess, alice: str, tmp_path: Path) -> None:
    nobodys = CommandLine(tmp_path)
    terminal = nobodys.terminal("login", f"{hub.url}/hub/home")
    terminal.expect_exact(f"{hub.url}/hub/token")
    terminal.expect_exact("access:services!service=binder custom:binder:build servers!user read:servers!user")
    terminal.expect_exact("Token (it is not shown): ")
    terminal.sendline(alice)
    text, status = shown(terminal)
    assert (status, alice in text) == (0, False)
    assert f"Signed in to {hub.url} as alice" in text
    assert stat.S_IMODE(nobodys.config.stat().st_mode) == 0o600
    assert stat.S_IMODE(nobodys.config.parent.stat().st_mode) == 0o700
    assert nobodys.run("builds").returncode == 0


def test_a_login_takes_a_token_from_stdin_and_says_what_it_may_not(hub: HubProcess, tmp_path: Path) -> None:
    nobodys = CommandLine(tmp_path)
    narrow = hub.token("alice", ["access:services!service=binder"])
    done = nobodys.run("login", hub.url, stdin=f"{narrow}\n")
    assert done.returncode == 0
    assert "lacks the permission custom:binder:build servers!user read:servers!user" in done.stderr
    assert nobodys.run("builds").returncode == 0
    refused = nobodys.run("build", "o/r")
    assert refused.returncode == 3
    assert f"lacks the permission custom:binder:build servers!user read:servers!user. Make one on {hub.url}/hub/token" in refused.stderr


def test_a_token_that_the_hub_does_not_know_is_not_kept(hub: HubProcess, tmp_path: Path) -> None:
    nobodys = CommandLine(tmp_path)
    done = nobodys.run("login", hub.url, stdin="0" * 32)
    assert (done.returncode, nobodys.config.exists()) == (3, False)
    assert done.stderr.startswith(f"binder: The hub does not know this token, or it has expired. Make one on {hub.url}/hub/token")


# What does not work


@pytest.mark.parametrize("arguments", [("builds",), ("build", "o/r"), ("open",), ("log", "-f", "19cebab89957ab46b7a"), ("login",)])
def test_a_hub_that_is_away_is_one_sentence(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = CommandLine(tmp_path, "http://127.0.0.1:9", "0" * 32).run(*arguments, stdin="token")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
    assert re.match(r"binder: The (build service|hub) does not answer at http://127\.0\.0\.1:9 \(", done.stderr)


@pytest.mark.parametrize("arguments", [("builds",), ("build", "o/r"), ("launch", "o/r"), ("open",), ("stop",), ("images",)])
def test_a_wrong_token_is_one_sentence_that_names_the_page(hub: HubProcess, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = CommandLine(tmp_path, hub.url, "0" * 32).run(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
    assert f"{hub.url}/hub/token" in done.stderr
    assert "0" * 32 not in done.stderr


def test_a_person_without_access_hears_which_permission_is_missing(hub: HubProcess, eve: str, tmp_path: Path) -> None:
    done = CommandLine(tmp_path, hub.url, eve).run("builds")
    assert (done.returncode, "lacks the permission access:services!service=binder custom:binder:build" in done.stderr) == (3, True)


@pytest.mark.parametrize("command", ["log", "cancel"])
def test_an_unknown_build_is_one_sentence(binder: CommandLine, command: str) -> None:
    done = binder.run(command, "../images")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
    assert done.stderr.startswith("binder: There is no build")


def test_an_address_without_the_service_says_so(hub: HubProcess, alice: str, tmp_path: Path) -> None:
    done = CommandLine(tmp_path, f"{hub.url}/nothing", alice).run("builds")
    assert done.returncode == 3
    assert done.stderr.startswith("binder: There is no build service at this address")


def test_what_has_ended_cannot_be_cancelled(binder: CommandLine, failed: dict[str, Any]) -> None:
    done = binder.run("cancel", failed["id"])
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)


def test_a_shell_completes_commands_and_builds(binder: CommandLine, failed: dict[str, Any]) -> None:
    assert "_BINDER_COMPLETE=bash_complete" in binder.output("completion", "bash")
    asked = {"COMP_WORDS": "binder log ", "COMP_CWORD": "2", "_BINDER_COMPLETE": "bash_complete"}
    assert f"plain,{failed['id']}" in binder.run(**asked).stdout.splitlines()
    assert binder.run(**asked, BINDER_TOKEN="0" * 32).stdout.strip() == ""
