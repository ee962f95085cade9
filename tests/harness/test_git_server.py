"""The Git server is only worth something if a real Git client gets from it what a real host would answer."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.harness.git_server import GitServer, Repository


def git(*arguments: str, seconds: float = 30, **environment: str) -> str:
    """Run Git as a client with no settings and no prompts; raise `CalledProcessError` when it fails."""
    settings = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0"}
    done = subprocess.run(["git", *arguments], env=settings | environment, capture_output=True, text=True, timeout=seconds, check=True)
    return done.stdout


@pytest.fixture
def repository(git_server: GitServer, request: pytest.FixtureRequest) -> Repository:
    return git_server.create(f"harness/{request.node.name}", {"README.md": "hello\n", "postBuild": "#!/bin/sh\n"})


def test_equal_content_has_equal_shas(repository: Repository) -> None:
    assert repository.rev("main") == "1fb9235f95487d8fe03f8692a89e97037843a051"


def test_a_clone_has_the_files_and_the_executable_bit(repository: Repository, tmp_path: Path) -> None:
    git("clone", "--quiet", repository.url, str(tmp_path / "copy"))
    assert (tmp_path / "copy" / "README.md").read_text() == "hello\n"
    assert os.access(tmp_path / "copy" / "postBuild", os.X_OK)


def test_a_shallow_fetch_of_one_commit_by_its_sha_works(repository: Repository, tmp_path: Path) -> None:
    old = repository.rev("main")
    repository.commit({"README.md": None, "other.txt": b"x"})
    git("init", "--quiet", str(tmp_path))
    git("-C", str(tmp_path), "fetch", "--quiet", "--depth=1", repository.url, old)
    assert git("-C", str(tmp_path), "ls-tree", "--name-only", "FETCH_HEAD").split() == ["README.md", "postBuild"]


def test_a_long_compressed_negotiation_arrives_whole(repository: Repository, git_server: GitServer, tmp_path: Path) -> None:
    stranger = git_server.create("harness/stranger")
    for number in range(60):
        stranger.commit({"n.txt": str(number)})
    git("clone", "--quiet", stranger.url, str(tmp_path))
    git("-C", str(tmp_path), "fetch", "--quiet", repository.url, "main")
    assert git("-C", str(tmp_path), "rev-parse", "FETCH_HEAD").strip() == repository.rev("main")
    assert "gzip" in {seen.encoding for seen in repository.requests}, "the client had much to say and compressed it"


def test_a_chunked_request_arrives_whole(repository: Repository) -> None:
    asked = (part for part in (b"0014command=ls-refs", b"\n", b"0000"))
    headers = {"Git-Protocol": "version=2", "Content-Type": "application/x-git-upload-pack-request"}
    reply = httpx.post(f"{repository.url}/git-upload-pack", content=asked, headers=headers)
    assert f"{repository.rev('main')} refs/heads/main" in reply.text


def test_protocol_version_two_is_spoken(repository: Repository) -> None:
    git("-c", "protocol.version=2", "ls-remote", repository.url)
    assert repository.requests[0].protocol == "version=2"
    assert [seen.method for seen in repository.requests] == ["GET", "POST"], "version 2 asks for refs in a second request"


def test_branches_and_both_kinds_of_tags_are_listed(repository: Repository) -> None:
    commit = repository.rev("main")
    repository.branch("topic")
    light, heavy = repository.tag("v1"), repository.tag("v2", annotated=True)
    refs = dict(reversed(line.split("\t")) for line in git("ls-remote", repository.url).splitlines())
    assert light == commit != heavy
    assert refs["refs/heads/topic"] == refs["refs/tags/v1"] == refs["refs/tags/v2^{}"] == commit
    assert refs["refs/tags/v2"] == heavy


def test_a_private_repository_opens_only_with_its_login(git_server: GitServer) -> None:
    repository = git_server.create("harness/private", {"a": "b"}, login=("robot", "s3cret"))
    with pytest.raises(subprocess.CalledProcessError):
        git("ls-remote", repository.url)
    assert repository.rev("main") in git("ls-remote", repository.url.replace("://", "://robot:s3cret@"))


def test_an_unknown_repository_is_not_found(git_server: GitServer) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        git("ls-remote", f"{git_server.url}/no/such.git")
    assert "not found" in caught.value.stderr


def test_it_answers_with_an_error_as_often_as_told(repository: Repository) -> None:
    repository.answer(503, times=2)
    statuses = [httpx.get(f"{repository.url}/info/refs?service=git-upload-pack").status_code for _ in range(3)]
    assert statuses == [503, 503, 200]


def test_it_drops_the_connection(repository: Repository) -> None:
    repository.drop(times=1)
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{repository.url}/info/refs?service=git-upload-pack")
    assert git("ls-remote", repository.url)


def test_it_hangs_until_it_recovers(repository: Repository) -> None:
    repository.hang()
    with pytest.raises(subprocess.TimeoutExpired):
        git("ls-remote", repository.url, seconds=1)
    repository.recover()
    assert git("ls-remote", repository.url)


def test_it_answers_late_but_it_answers(repository: Repository) -> None:
    repository.slow(0.3)
    address = f"{repository.url}/info/refs?service=git-upload-pack"
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(address, timeout=0.1)
    assert httpx.get(address, timeout=30).status_code == 200
