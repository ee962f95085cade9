"""Git in a checkout, and servers that answer in ways of their own."""

from __future__ import annotations

import io
from pathlib import Path

from binderhub_service.worker.guards import Guard
from binderhub_service.worker.job import ProcessLimits
from binderhub_service.worker.recipes.checkout_git import CheckoutGit
from binderhub_service.worker.reporter import Reporter

# Refuses a part of a history as a server does that knows no shallow clones, and notes how often it was asked.
GIT = """#!/bin/sh
echo asked >> "{asked}"
echo 'fatal: expected shallow/unshallow, got NAK' >&2
echo 'fatal: the remote end hung up unexpectedly' >&2
exit 128
"""


def test_a_server_that_gives_no_part_of_a_history_is_not_asked_for_it_again(tmp_path: Path) -> None:
    git, asked = tmp_path / "git", tmp_path / "asked"
    git.write_text(GIT.format(asked=asked))
    git.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    checkout = CheckoutGit(tmp_path, Reporter(io.BytesIO(), 10_000), environment, Guard(ProcessLimits(), tmp_path))
    assert not checkout.run("fetch", "--depth=1", "origin", "main")
    assert checkout.gives_no_part
    assert asked.read_text() == "asked\n"
