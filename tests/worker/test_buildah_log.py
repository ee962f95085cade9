"""What buildah says, as lines for people, and what its failures mean; the ends of logs are buildah's own (1.28)."""

from __future__ import annotations

import json

import pytest

from binderhub_service.worker.recipes.buildah_log import BuildahLog, ended_without_a_word, error_from, shell_status

UNKNOWN = (
    'STEP 2/2: PLEASE install jupyter\nError: building at STEP "PLEASE ": Build error: Unknown instruction: "PLEASE" &imagebuilder.Step{'
    'Env:[]string{"PATH=/bin"}, Command:"please", Original:"PLEASE install jupyter"}'
)
NO_HOST = (
    "Error: creating build container: initializing source docker://nowhere.example.org/x:1: pinging container registry nowhere.example.org: Get "
    '"http://nowhere.example.org/v2/": dial tcp: lookup nowhere.example.org: no such host'
)
FAILURES = [
    (
        'one\nsubprocess exited with status 7\nError: building at STEP "RUN echo one && exit 7": exit status 7',
        "dockerfile_step_failed",
        "The instruction RUN echo one && exit 7 failed with exit status 7.",
    ),
    (
        'Error: building at STEP "RUN echo "a: b" && false": while running runtime: exit status 1',
        "dockerfile_step_failed",
        'The instruction RUN echo "a: b" && false failed with exit status 1.',
    ),
    (
        'Error: building at STEP "COPY nothing /there": checking on sources under "/content": copier: stat: "/nothing": no such file or directory',
        "dockerfile_step_failed",
        "The instruction COPY nothing /there failed.",
    ),
    (UNKNOWN, "dockerfile_invalid", 'The Dockerfile cannot be understood: Unknown instruction: "PLEASE".'),
    ('Error: no contents in "/work/content/Dockerfile"', "dockerfile_invalid", "The Dockerfile cannot be understood: no contents in Dockerfile."),
    ("Error: no FROM statement found", "dockerfile_invalid", "The Dockerfile cannot be understood: no FROM statement found."),
    (
        'Error: building at STEP "ENV ": ENV requires at least one argument',
        "dockerfile_invalid",
        "The Dockerfile cannot be understood: ENV requires at least one argument.",
    ),
    (
        "Error: COPY --from=other: no stage or image found with that name",
        "dockerfile_invalid",
        "The Dockerfile cannot be understood: COPY --from=other: no stage or image found with that name.",
    ),
    (
        "Error: creating build container: repository name must be lowercase",
        "dockerfile_invalid",
        "The Dockerfile cannot be understood: repository name must be lowercase.",
    ),
    (
        "Error: creating build container: initializing source docker://10.0.0.1/nobody/nothing:1: reading manifest 1 in 10.0.0.1/nobody/nothing:"
        " manifest unknown: manifest unknown",
        "base_image_pull_failed",
        "The base image 10.0.0.1/nobody/nothing:1 could not be pulled.",
    ),
    (NO_HOST, "base_image_pull_failed", "The base image nowhere.example.org/x:1 could not be pulled."),
    (
        'cat: write error: No space left on device\nError: building at STEP "RUN cat": exit status 1',
        "disk_full",
        "The disk of the build machine is full.",
    ),
    ("something else", "build_failed", "The image could not be built."),
]


@pytest.mark.parametrize(("tail", "code", "message"), FAILURES)
def test_a_failure_has_its_code(tail: str, code: str, message: str) -> None:
    error = error_from(tail, limited=False)
    assert (error.code, error.message) == (code, message)
    assert error.hint


@pytest.mark.parametrize(
    "tail",
    [
        'subprocess exited on killed\nError: building at STEP "RUN tail /dev/zero": exit status 1',
        'Error: building at STEP "RUN tail /dev/zero": exit status 137',
    ],
)
def test_what_is_killed_where_memory_is_limited_had_too_little(tail: str) -> None:
    assert error_from(tail, limited=True).code == "out_of_memory"
    unlimited = error_from(tail, limited=False)
    assert unlimited.code == "dockerfile_step_failed"
    assert "137" in (unlimited.hint or "")


def test_ids_and_transfers_are_left_out() -> None:
    log = BuildahLog()
    noise = ["Getting image source signatures", f"Copying blob sha256:{'0' * 64}", f"--> {'a' * 11}", "b" * 64, "Storing signatures"]
    assert [line for raw in noise for line in log.lines(raw)] == []
    assert log.lines(json.dumps({"message": "STEP 1/2: FROM x\n"})) == ["STEP 1/2: FROM x"]


def test_the_insides_of_buildah_are_left_out() -> None:
    log = BuildahLog()
    assert log.lines('time="2026-11-21T13:25:26Z" level=error msg="+(UNHANDLED LOGLEVEL) &imagebuilder.Step{Env:[]string{}}"') == []
    assert log.lines('Error: Unknown instruction: "PLEASE" &imagebuilder.Step{Env:[]string{}}') == ['Error: Unknown instruction: "PLEASE"']


NO_PROGRAM = (
    'process failed to start with error: exec: "jupyterhub-singleuser": executable file not found in $PATH'
    "process exited with error: exec: not started"
    "subprocess exited with status 1\nError: exit status 1"
)
LOST = "subprocess exited with status 1\nError: exit status 1"
OWN = f"Traceback: no module named tornado\n{LOST}"


@pytest.mark.parametrize(("output", "without_a_word", "status"), [(NO_PROGRAM, False, 127), (LOST, True, 1), (OWN, False, 1), ("", True, 1)])
def test_a_program_that_is_not_there_is_told_from_one_whose_words_were_lost(output: str, without_a_word: bool, status: int) -> None:
    assert (ended_without_a_word(output), shell_status(1, output)) == (without_a_word, status)


def test_a_program_that_ends_well_is_there_whatever_it_says() -> None:
    assert shell_status(0, NO_PROGRAM) == 0
