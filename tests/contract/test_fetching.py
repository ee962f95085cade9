"""Which hosts a build fetches from when only public ones, and a few exceptions, may be asked, and what its log tells of git."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from binderhub_service.common.address_rules import AddressRules
from binderhub_service.worker.job import ProcessLimits
from tests.contract.test_recipe import with_submodule
from tests.harness.build_directory import BuildDirectory
from tests.harness.git_server import GitServer, Repository
from tests.harness.web_thread import in_thread

FIRST_ONLY = AddressRules(public_only=True, exceptions=("127.0.0.1",))
"""The tests' own Git server is open, everything else of this machine is not."""
FREE = "127.0.0.2"


async def test_a_build_fetches_from_no_closed_host(build_directory: BuildDirectory, new_repository: Callable[..., Repository]) -> None:
    repository = new_repository({"a": "b"})
    made = await build_directory.make(
        build_directory.ask(repository.url, repository.rev("main")), ProcessLimits(addresses=AddressRules(public_only=True))
    )
    assert made.error
    assert made.error["code"] == "address_not_allowed"
    assert made.error["message"].startswith("The repository may not be fetched here: the host 127.0.0.1 is not on the public internet")
    assert repository.requests == []


async def test_a_build_fetches_no_submodule_from_a_closed_host(
    build_directory: BuildDirectory, new_repository: Callable[..., Repository], tmp_path: Path
) -> None:
    server = GitServer(tmp_path / "inside", FREE)
    with server.running():
        inside = server.create("inside/sub", {"inner.txt": "deep"})
        repository = new_repository({"a": "b"})
        with_submodule(repository, tmp_path / "clone", inside.url, inside.rev("main"))
        build = build_directory.ask(repository.url, repository.rev("main"))
        made = await build_directory.make(build, ProcessLimits(addresses=FIRST_ONLY))
        assert made.error
        assert made.error["code"] == "address_not_allowed"
        assert made.error["message"].startswith(f"The submodule sub of the repository may not be fetched here: the host {FREE} is not")
        assert inside.requests == []
        allowed = await build_directory.make(build_directory.ask(repository.url, repository.rev("main")), ProcessLimits())
        assert allowed.error is None, allowed.log
        assert inside.requests != []


async def test_a_build_fetches_from_an_excepted_host(build_directory: BuildDirectory, new_repository: Callable[..., Repository]) -> None:
    repository = new_repository({"a": "b" * 100_000})
    made = await build_directory.make(build_directory.ask(repository.url, repository.rev("main")), ProcessLimits(addresses=FIRST_ONLY))
    assert made.error is None, made.log


# --- the log -------------------------------------------------------------------------------------------------------------

SECRET = "s3cret-of-the-inside"
ANSWERS = {
    "a page": ("text/html", f"<html>\n{SECRET}\n</html>\n"),
    "a page in one line": ("text/html", f"<html>{SECRET}</html>"),
    "nothing": ("text/plain", ""),
    "what is nearly git": ("application/x-git-upload-pack-advertisement", f"{SECRET} and more\n"),
    "an error in git's form": (
        "application/x-git-upload-pack-advertisement",
        f"001e# service=git-upload-pack\n0000{len(SECRET) + 8:04x}ERR {SECRET}",
    ),
    "plain text with an error": ("text/plain; charset=utf-8", f"{SECRET}\nline two\n"),
}


@pytest.fixture(params=ANSWERS)
def answering(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a server that answers every question with one text."""
    kind, text = ANSWERS[request.param]
    status = 403 if request.param == "plain text with an error" else 200

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with in_thread(server):
        yield f"http://127.0.0.1:{server.server_port}"


async def test_nothing_that_a_server_answers_reaches_the_log_or_the_error(build_directory: BuildDirectory, answering: str) -> None:
    made = await build_directory.make(build_directory.ask(f"{answering}/o/r", "1" * 40))
    assert made.error
    assert made.error["code"] == "fetch_failed"
    assert SECRET not in str(made)
    assert made.log[-1] == "git checkout failed: the commit is not in what the server gave.", made.log


async def test_nothing_that_a_submodules_server_answers_reaches_the_log_or_the_error(
    build_directory: BuildDirectory, new_repository: Callable[..., Repository], tmp_path: Path, answering: str
) -> None:
    repository = new_repository({"a": "b"})
    with_submodule(repository, tmp_path / "clone", f"{answering}/o/r", "1" * 40)
    made = await build_directory.make(build_directory.ask(repository.url, repository.rev("main")))
    assert made.error
    assert made.error["code"] == "fetch_failed"
    assert SECRET not in str(made)


async def test_the_log_of_a_clone_tells_its_progress(build_directory: BuildDirectory, new_repository: Callable[..., Repository]) -> None:
    repository = new_repository({f"{number}.txt": str(number) for number in range(200)})
    made = await build_directory.make(build_directory.ask(repository.url, repository.rev("main")))
    assert made.error is None, made.log
    assert made.log[0].startswith("Fetching http")
    assert [line for line in made.log if line.startswith("Receiving objects: 100% (202/202)")], made.log
    assert not [line for line in made.log if "remote:" in line or line.startswith(("From ", " * "))]
