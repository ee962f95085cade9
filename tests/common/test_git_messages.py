"""What people are told of git's messages."""

from __future__ import annotations

import pytest

from binderhub_service.common.git_messages import gives_no_part, progress_in, reason_in

PROGRESS = {
    "Receiving objects: 100% (3/3), done.": "Receiving objects: 100% (3/3), done.",
    "Receiving objects:   0% (1/300)\rReceiving objects:  42% (126/300), 5 MiB | 3 MiB/s": "Receiving objects:  42% (126/300), 5 MiB | 3 MiB/s",
    "Receiving objects: 100% (3/3), 239 bytes | 239.00 KiB/s, done.": "Receiving objects: 100% (3/3), 239 bytes | 239.00 KiB/s, done.",
    "Resolving deltas: 100% (12/12), done.": "Resolving deltas: 100% (12/12), done.",
}
HOSTILE = [
    "remote: Receiving objects: 100% (3/3), done.",
    "Receiving objects: 100% (3/3), done. secret",
    "fatal: protocol error: bad line length character: secr",
    "fatal: http://h/x/info/refs not valid: is this a git repository? secret",
    "secret\rsecret",
]
# By servers of plain files, with git of different ages, and by servers that know no shallow clones.
NO_PART = [
    "fatal: dumb http transport does not support shallow capabilities",
    "fatal: dumb http transport does not support --depth",
    "fatal: Server does not support shallow clients",
    "fatal: expected shallow/unshallow, got NAK\nfatal: the remote end hung up unexpectedly",
]


@pytest.mark.parametrize("messages", NO_PART)
def test_servers_that_give_whole_histories_alone_are_known(messages: str) -> None:
    assert gives_no_part(messages)
    assert reason_in(messages) == "it gives whole histories alone"


@pytest.mark.parametrize("line", PROGRESS)
def test_progress_is_told_in_its_last_version(line: str) -> None:
    assert progress_in(line) == PROGRESS[line]


@pytest.mark.parametrize("line", HOSTILE)
def test_what_may_come_from_a_server_is_no_progress(line: str) -> None:
    assert progress_in(line) == ""


@pytest.mark.parametrize("line", HOSTILE)
def test_a_reason_repeats_nothing_that_is_not_known(line: str) -> None:
    assert reason_in(line) == "it did not answer as a Git server does"
    assert reason_in(f"{line}\nfatal: unable to access 'http://h/secret/': Could not resolve host: h") == "Could not resolve host"
