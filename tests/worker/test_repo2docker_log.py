"""What repo2docker and engines say, as lines for people, and what their failures mean."""

from __future__ import annotations

import json

import pytest

from binderhub_service.worker.recipes.pushing import push_error
from binderhub_service.worker.recipes.repo2docker_log import Lines, Log, error_from


def line(message: str, **more: str) -> str:
    return json.dumps({"message": message, **more})


def test_json_becomes_lines() -> None:
    log = Log()
    assert log.lines(line("Step 1/2 : FROM x\n ---> abc\n", phase="building")) == ["Step 1/2 : FROM x", " ---> abc"]
    assert log.lines("not JSON") == ["not JSON"]
    assert log.lines("[1]") == ["[1]"]
    assert log.lines(line("\r\n")) == []
    assert not log.failed


def test_what_an_engine_prints_is_never_a_message_of_repo2docker() -> None:
    """A step of a Dockerfile may print anything, and the engine without BuildKit gives it on as it is."""
    lines = Lines()
    told = line("Error during build: no", phase="failed")
    assert lines.lines(told) == [told]
    assert not lines.failed


def test_transfers_and_repetitions_are_left_out() -> None:
    log = Log()
    told = [log.lines(line("Fetching base image...\r", phase="building")) for _ in range(1000)]
    assert sum(map(len, told)) == 1
    assert log.lines(line("#5 sha256:0123abcd 1.05MB / 29.13MB 0.2s")) == []
    assert log.lines(line("#5 sha256:0123abcd 29.13MB / 29.13MB 3.1s done")) == []
    assert log.lines(line("#6 0.360 sha256 is a word")) == ["#6 0.360 sha256 is a word"]


@pytest.mark.parametrize("mark", [{"phase": "failed"}, {"exc_info": "Traceback"}])
def test_a_failure_is_noticed_whatever_the_exit_status(mark: dict[str, str]) -> None:
    log = Log()
    assert log.lines(line("Error during build: no", **mark)) == ["Error during build: no"]
    assert log.failed


# The ends of logs, as engines of several ages write them.
FAILURES = [
    (
        "#6 ERROR: executor failed running [/bin/sh -c exit 3]: exit code: 3\n------\n > [3/3] RUN exit 3:\n------",
        "dockerfile_step_failed",
        "The instruction RUN exit 3 failed with exit status 3.",
    ),
    (
        '------\n > [2/3] RUN pip install x:\n------\nERROR: failed to build: failed to solve: process "/bin/sh -c pip install x" did not complete'
        " successfully: exit code: 1",
        "dockerfile_step_failed",
        "The instruction RUN pip install x failed with exit status 1.",
    ),
    (
        "The command '/bin/sh -c false' returned a non-zero code: 1",
        "dockerfile_step_failed",
        "The instruction /bin/sh -c false failed with exit status 1.",
    ),
    ('failed to solve: process "/bin/sh -c x" did not complete successfully: cannot allocate memory', "out_of_memory", ""),
    ('failed to solve: ResourceExhausted: process "/bin/sh -c x" did not complete successfully: ResourceExhausted', "out_of_memory", ""),
    ("dockerfile parse error line 3: unknown instruction: FOO", "dockerfile_invalid", "line 3: unknown instruction: FOO"),
    ("failed to solve: dockerfile parse error on line 2: FROM requires either one or three arguments", "dockerfile_invalid", "line 2: FROM requires"),
    ("failed to solve with frontend dockerfile.v0: failed to read dockerfile: the Dockerfile (x) cannot be empty", "dockerfile_invalid", "empty"),
    ("------\n > [internal] load metadata for docker.io/a/b:1:\n------\nERROR: x: not found", "base_image_pull_failed", "docker.io/a/b:1"),
    ("ERROR: failed to solve: a/b:1: failed to resolve source metadata for docker.io/a/b:1: pull access denied", "base_image_pull_failed", "a/b:1"),
    ("pull access denied for a/b, repository does not exist or may require 'docker login'", "base_image_pull_failed", "a/b"),
    ("manifest for r.example/a:1 not found: manifest unknown", "base_image_pull_failed", "r.example/a:1"),
    ("write /var/lib/docker/tmp/x: no space left on device", "disk_full", ""),
    ("ERROR: Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?", "engine_unavailable", ""),
    ("Container engine initialization error: The buildx plugin must be installed: x", "engine_unavailable", ""),
    ("RuntimeError: The docker commandline client must be installed: x", "engine_tools_missing", "docker commandline client"),
    ("unknown flag: --progress\n\nUsage:  docker [OPTIONS] COMMAND [ARG...]", "engine_tools_missing", "buildx plugin"),
    ("docker: unknown command: docker buildx\n\nRun 'docker --help' for more information", "engine_tools_missing", "buildx plugin"),
    ("docker: 'buildx' is not a docker command.\nSee 'docker --help'", "engine_tools_missing", "buildx plugin"),
    ("#5 0.1 unknown flag: --progress\n > [2/2] RUN pip --progress:", "dockerfile_step_failed", "RUN pip --progress"),
    ("nothing that anybody knows", "build_failed", ""),
]


@pytest.mark.parametrize(("tail", "code", "says"), FAILURES)
def test_a_failure_has_its_code_and_says_what(tail: str, code: str, says: str) -> None:
    error = error_from(tail, limited=False)
    assert error.code == code
    assert says in error.message
    assert error.hint


SAID = [
    (
        "#16 3.5 ERROR: Could not find a version that satisfies the requirement x==2 (from versions: 1, 3)\n#16 3.5 ERROR: No matching\n",
        "It said: ERROR: Could not find a version that satisfies the requirement x==2.",
    ),
    ("#17 2.0 ERROR: Invalid requirement: 'six=1.16.0': Expected end\n", "It said: ERROR: Invalid requirement: 'six=1.16.0': Expected end."),
    ("#9 1.0 E: Unable to locate package nosuch\n", "It said: E: Unable to locate package nosuch."),
    ("#9 1.0 error    libmamba Could not solve for environment specs\n", "It said: error    libmamba Could not solve for environment specs."),
    ("#9 1.0 ./postBuild: line 3: npm: command not found\n", "It said: ./postBuild: line 3: npm: command not found."),
    ("#9 1.0 \x1b[31mModuleNotFoundError: No module named 'x'\x1b[0m\n", "It said: ModuleNotFoundError: No module named 'x'."),
    ("#9 1.0 installing errors: none\n", ""),
]


@pytest.mark.parametrize(("said", "hint"), SAID)
def test_a_failed_step_carries_what_its_program_said(said: str, hint: str) -> None:
    step = ' > [2/3] RUN x:\nERROR: failed to solve: process "/bin/sh -c x" did not complete successfully: exit code: 1'
    assert str(error_from(said + step, limited=False).hint).startswith(hint or "The log shows")


def test_a_build_that_never_began_carries_why() -> None:
    assert "It said: Error during build: Expected" in str(error_from("Error during build: Expected '=' after a key", limited=False).hint)


def test_a_killed_process_had_too_little_memory_only_if_memory_was_limited() -> None:
    tail = "executor failed running [/bin/sh -c x]: exit code: 137"
    assert error_from(tail, limited=True).code == "out_of_memory"
    unlimited = error_from(tail, limited=False)
    assert unlimited.code == "dockerfile_step_failed"
    assert "memory" in str(unlimited.hint)


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        ("unauthorized: authentication required", "registry_login_failed"),
        ("no basic auth credentials", "registry_login_failed"),
        ("unauthorized: incorrect username or password", "registry_login_failed"),
        ("denied: requested access to the resource is denied", "push_denied"),
        ("insufficient_scope: authorization failed", "push_denied"),
        ("denied: The repository with name 'x' has been archived", "push_denied"),
        ('Get "https://r.example/v2/": dial tcp 10.0.0.1:443: connect: connection refused', "registry_unavailable"),
        ("dial tcp: lookup r.example: no such host", "registry_unavailable"),
        ("http: server gave HTTP response to HTTPS client", "registry_unavailable"),
        ("received unexpected HTTP status: 503 Service Unavailable", "registry_unavailable"),
        ("blob upload: no space left on device", "disk_full"),
        ("tag invalid: immutable", "push_failed"),
    ],
)
def test_a_refused_push_has_its_code(problem: str, code: str) -> None:
    error = push_error(problem, "r.example", None)
    assert error.code == code
    assert error.hint
