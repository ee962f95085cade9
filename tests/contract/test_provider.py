"""Every provider, against a real Git server."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from binderhub_service.errors import InvalidRequest, NotFound, Unavailable
from binderhub_service.models import Request
from binderhub_service.names import digest
from binderhub_service.providers import Provider, provider_for
from binderhub_service.providers.git import GitProvider
from binderhub_service.providers.git_environment import git_environment
from binderhub_service.providers.github import GitHubProvider
from tests.harness.git_server import GitServer, Repository

SECRET = "sekret-value"


@dataclass(frozen=True)
class Place:
    """A provider, and how its requests and links name a repository."""

    make: Callable[[str, float], Provider]
    name: Callable[[Repository], str]
    spec: Callable[[str, str], str]

    def __call__(self, repository: Repository, timeout_seconds: float = 20) -> Provider:
        """Return the provider for a repository's server."""
        return self.make(repository.url.rsplit("/", 2)[0], timeout_seconds)


def _short(repository: Repository) -> str:
    return "/".join(repository.url.removesuffix(".git").rsplit("/", 2)[1:])


PLACES = {
    "git": Place(
        make=lambda server, seconds: GitProvider(seconds),
        name=lambda repository: repository.url,
        spec=lambda repo, ref: f"{quote(repo, safe='')}/{quote(ref, safe='')}",
    ),
    "gh": Place(
        make=lambda server, seconds: GitHubProvider(GitProvider(seconds), base_url=server),
        name=_short,
        spec=lambda repo, ref: f"{repo}/{ref}",
    ),
}


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Place:
    return PLACES[request.param]


@pytest.fixture
def repository(git_server: GitServer, request: pytest.FixtureRequest) -> Iterator[Repository]:
    name = f"{request.node.originalname}-{digest(request.node.name, 8)}"
    made = git_server.create(f"provider/{name}", {"README.md": "hello\n"})
    yield made
    made.recover()


async def commit_of(place: Place, repository: Repository, ref: str = "", timeout_seconds: float = 20) -> str:
    source = await place(repository, timeout_seconds).resolve(Request(place.name(repository), ref))
    return source.commit


def children_named_git() -> list[psutil.Process]:
    return [child for child in psutil.Process().children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE and "ls-remote" in child.cmdline()]


# Which commit


@pytest.mark.parametrize("ref", ["", "HEAD", "main", "refs/heads/main"])
async def test_the_default_branch_is_found_by_any_name(place: Place, repository: Repository, ref: str) -> None:
    assert await commit_of(place, repository, ref) == repository.rev("main")


async def test_a_branch_that_only_ends_in_the_name_does_not_win(place: Place, repository: Repository) -> None:
    first = repository.rev("main")
    repository.commit({"other": "x"}, branch="a/main")
    assert await commit_of(place, repository, "main") == first
    assert await commit_of(place, repository, "a/main") == repository.rev("a/main") != first


async def test_a_name_that_only_ends_another_is_not_there(place: Place, repository: Repository) -> None:
    repository.commit({"other": "x"}, branch="topic/deep")
    with pytest.raises(NotFound) as caught:
        await commit_of(place, repository, "deep")
    assert caught.value.code == "ref_not_found"


async def test_a_branch_comes_before_a_tag_of_the_same_name(place: Place, repository: Repository) -> None:
    repository.tag("v1", annotated=True)
    on_branch = repository.commit({"other": "x"}, branch="v1", parent="main")
    assert await commit_of(place, repository, "v1") == on_branch
    assert await commit_of(place, repository, "refs/tags/v1") == repository.rev("main") != on_branch


@pytest.mark.parametrize("annotated", [False, True])
async def test_a_tag_means_its_commit(place: Place, repository: Repository, annotated: bool) -> None:
    held = repository.tag("v2", annotated=annotated)
    commit = await commit_of(place, repository, "v2")
    assert commit == repository.rev("main")
    assert (held != commit) == annotated


async def test_a_full_sha_is_taken_as_given_without_asking(place: Place, repository: Repository) -> None:
    for sha in ("0123456789abcdef" * 2 + "01234567", "0123456789abcdef" * 4):
        assert await commit_of(place, repository, sha) == sha
    assert repository.requests == []


async def test_the_case_of_a_ref_counts(place: Place, repository: Repository) -> None:
    with pytest.raises(NotFound):
        await commit_of(place, repository, "MAIN")


@pytest.mark.parametrize("ref", ["{foo}", "{0.__class__}", "a'b\"c", "$(id)", "%s", "é", "日本"])
async def test_a_strange_but_legal_ref_does_no_harm(place: Place, repository: Repository, ref: str) -> None:
    with pytest.raises(NotFound):
        await commit_of(place, repository, ref)
    repository._git("update-ref", f"refs/heads/{ref}", repository.rev("main"))
    assert await commit_of(place, repository, ref) == repository.rev("main")


async def test_the_source_says_what_was_asked(place: Place, repository: Repository) -> None:
    provider = place(repository)
    source = await provider.resolve(Request(place.name(repository), "main"))
    by_default = await provider.resolve(Request(f" {place.name(repository)}/ "))
    assert (source.provider, source.ref, by_default.ref) == (provider.name, "main", "HEAD")
    assert source.repo == source.url == by_default.repo
    assert source.url.removesuffix(".git") == repository.url.removesuffix(".git")
    assert provider.canonical_repo(Request(place.name(repository))) == source.repo


# What is not there


async def test_an_unknown_ref_is_said_to_be_unknown(place: Place, repository: Repository) -> None:
    with pytest.raises(NotFound) as caught:
        await commit_of(place, repository, "nowhere")
    assert (caught.value.code, caught.value.status) == ("ref_not_found", 404)
    assert "nowhere" in caught.value.message
    assert caught.value.hint


async def test_a_repository_without_a_commit_says_so(place: Place, git_server: GitServer, request: pytest.FixtureRequest) -> None:
    with pytest.raises(NotFound) as caught:
        await commit_of(place, git_server.create(f"provider/empty-{request.node.callspec.id}"))
    assert caught.value.code == "ref_not_found"
    assert "no commit yet" in caught.value.message


async def test_an_unknown_repository_is_said_to_be_unknown(place: Place, repository: Repository) -> None:
    repository.url = repository.url.replace(".git", "-not.git")
    with pytest.raises(NotFound) as caught:
        await commit_of(place, repository)
    assert caught.value.code == "repository_not_found"


async def test_a_private_repository_is_like_one_that_is_not_there(place: Place, git_server: GitServer, request: pytest.FixtureRequest) -> None:
    private = git_server.create(f"provider/private-{request.node.callspec.id}", {"a": "b"}, login=("robot", "s3cret"))
    with pytest.raises(NotFound) as caught:
        await commit_of(place, private)
    assert caught.value.code == "repository_not_found"


# Who does not answer


async def test_a_server_that_hangs_is_given_up_in_time_with_nothing_left_behind(place: Place, repository: Repository) -> None:
    repository.hang()
    began = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        await commit_of(place, repository, timeout_seconds=1)
    assert (caught.value.code, caught.value.status) == ("git_server_timeout", 503)
    assert time.monotonic() - began < 5
    assert children_named_git() == []


async def test_asking_can_be_given_up_with_nothing_left_behind(place: Place, repository: Repository) -> None:
    repository.hang()
    asking = asyncio.create_task(commit_of(place, repository))
    while not repository.requests:
        await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert children_named_git() == []


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_server_in_trouble_is_unavailable_not_empty(place: Place, repository: Repository, status: int) -> None:
    repository.answer(status)
    with pytest.raises(Unavailable) as caught:
        await commit_of(place, repository, "main")
    assert caught.value.code == "git_server_unavailable"
    assert str(status) in caught.value.message


async def test_a_dropped_connection_is_unavailable(place: Place, repository: Repository) -> None:
    repository.drop()
    with pytest.raises(Unavailable):
        await commit_of(place, repository, "main")


async def test_a_refused_connection_is_unavailable(place: Place, repository: Repository) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        repository.url = f"http://127.0.0.1:{probe.getsockname()[1]}/o/r.git"
    with pytest.raises(Unavailable) as caught:
        await commit_of(place, repository, "main")
    assert caught.value.code == "git_server_unavailable"


# What is refused before anybody is asked


@pytest.mark.parametrize(
    "ref",
    [
        "--upload-pack=touch HACKED",
        "--upload-pack=id",
        "-oProxyCommand=id",
        "-",
        "a..b",
        "a b",
        "a\nb",
        "a~1",
        "a^",
        "a:b",
        "@{u}",
        "a*",
        "x" * 256,
        "/a",
        "a.lock",
    ],
)
async def test_what_cannot_be_a_ref_is_refused_unasked(place: Place, repository: Repository, ref: str) -> None:
    with pytest.raises(InvalidRequest):
        await commit_of(place, repository, ref)
    assert repository.requests == []


@pytest.mark.parametrize(
    "repo",
    [
        "--upload-pack=id",
        "-oProxyCommand=id",
        "ssh://-oProxyCommand=id/r",
        "-oProxyCommand=id:o/r",
        "file:///etc",
        "/etc",
        "../r",
        "ext::sh -c id",
        "ext::sh",
        "fd::3",
        "javascript:alert(1)",
        "",
        "   ",
        "https://[broken/o/r",
        "https://",
        "https://git.example.org/a b",
        "https://git.example.org/" + "a" * 2048,
        "https://git.example.org/\ud800",
    ],
)
async def test_what_is_no_address_is_refused_unasked(place: Place, repository: Repository, repo: str) -> None:
    provider = place(repository)
    with pytest.raises(InvalidRequest):
        await provider.resolve(Request(repo))


async def test_a_ref_that_is_no_text_is_refused(place: Place, repository: Repository) -> None:
    with pytest.raises(InvalidRequest):
        await commit_of(place, repository, "\ud800")


@pytest.mark.parametrize(
    "repo",
    [
        f"https://{SECRET}@git.example.org/o/r",
        f"https://alice:{SECRET}@git.example.org/o/r",
        f"https://:{SECRET}@git.example.org/o/r",
        f"https://al'ice:{SECRET}@git.example.org/o/r",
        f"HTTPS://alice:{SECRET}@git.example.org/o/r",
        f"ssh://git:{SECRET}@git.example.org/o/r",
        f"alice:{SECRET}@git.example.org:o/r.git",
        f"oauth2:{SECRET}@git.example.org/o/r.git",
        f"https://git.example.org/o/r.git?private_token={SECRET}",
        f"https://git.example.org/o/r.git?x=1&access_token={SECRET}",
    ],
)
async def test_a_credential_in_the_address_is_refused_and_not_repeated(place: Place, repository: Repository, repo: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await place(repository).resolve(Request(repo))
    assert caught.value.code == "credentials_in_address"
    assert SECRET not in str(caught.value.as_dict())


# Links


@pytest.mark.parametrize(("ref", "meant"), [("main", "main"), ("a/b", "a/b"), ("HEAD", ""), ("", ""), ("main/", "main"), ("caf%C3%A9", "café")])
def test_a_link_names_a_repository_and_a_ref(place: Place, repository: Repository, ref: str, meant: str) -> None:
    provider = place(repository)
    repo = place.name(repository)
    spec = place.spec(repo, "").rstrip("/") + (f"/{ref}" if ref else "")
    assert provider.request_from_spec(spec) == Request(repo, meant, provider.name)


def test_a_slash_in_a_ref_may_be_escaped(place: Place, repository: Repository) -> None:
    spec = place.spec(place.name(repository), "") + "feature%2Fx"
    assert place(repository).request_from_spec(spec).ref == "feature/x"


@pytest.mark.parametrize("spec", ["", "/main"])
def test_a_link_without_a_repository_is_refused(place: Place, repository: Repository, spec: str) -> None:
    with pytest.raises(InvalidRequest):
        place(repository).request_from_spec(spec)


# Who understands what


@pytest.mark.parametrize(
    "repo",
    [
        "https://github.com/o/r",
        "http://www.github.com/o/r.git/",
        "o/r",
        "git@github.com:o/r.git",
        "ssh://git@github.com/o/r",
        "HTTPS://GitHub.com/o/r",
    ],
)
def test_all_spellings_of_a_github_repository_are_one(repo: str) -> None:
    github = GitHubProvider(GitProvider())
    assert github.understands(repo)
    assert github.canonical_repo(Request(repo)) == "https://github.com/o/r"


@pytest.mark.parametrize(
    "repo", ["https://gitlab.com/o/r", "https://github.com.evil.example/o/r", "https://github.com/o", "o/..", "../r", "o/r/s", "o/.git"]
)
def test_what_is_not_on_github_is_left_to_others(repo: str) -> None:
    github = GitHubProvider(GitProvider())
    assert not github.understands(repo)
    with pytest.raises(InvalidRequest):
        github.canonical_repo(Request(repo))


@pytest.mark.parametrize(
    ("repo", "canonical"),
    [
        ("git@git.example.org:o/r.git", "ssh://git@git.example.org/o/r.git"),
        ("me@git.example.org:/o/r.git", "ssh://me@git.example.org/o/r.git"),
        ("ssh://git@git.example.org:2222/o/r.git/", "ssh://git@git.example.org:2222/o/r.git"),
        ("git://git.example.org/r", "git://git.example.org/r"),
    ],
)
def test_shorthand_is_written_out(repo: str, canonical: str) -> None:
    assert GitProvider().understands(repo)
    assert GitProvider().canonical_repo(Request(repo)) == canonical


def test_the_most_specific_provider_is_asked_first() -> None:
    git = GitProvider()
    providers: list[Provider] = [GitHubProvider(git), git]
    assert provider_for(Request("https://github.com/o/r"), providers).name == "gh"
    assert provider_for(Request("https://github.com/o/r", provider="git"), providers) is git
    assert provider_for(Request("https://gitlab.com/o/r"), providers) is git
    for nonsense in (Request("nonsense"), Request("https://gitlab.com/o/r", provider="nobody")):
        with pytest.raises(InvalidRequest):
            provider_for(nonsense, providers)


def test_git_sees_no_secrets_and_asks_no_questions() -> None:
    seen = git_environment({"JUPYTERHUB_API_TOKEN": SECRET, "BINDERHUB_SERVICE_CONFIG": SECRET, "GIT_DIR": "/x", "PATH": "/bin", "HOME": "/home/a"})
    assert SECRET not in str(seen)
    assert "GIT_DIR" not in seen
    assert (seen["GIT_TERMINAL_PROMPT"], seen["PATH"]) == ("0", "/bin")
    assert "file" not in seen["GIT_ALLOW_PROTOCOL"].split(":")


async def test_git_itself_may_use_allowed_protocols_only(repository: Repository) -> None:
    with pytest.raises((NotFound, Unavailable)):
        await GitProvider(10).commit_of(f"file://{repository.directory}", "main")


async def test_a_private_repository_is_reached_with_the_login_for_its_server_and_no_other(git_server: GitServer, tmp_path: Path) -> None:
    private = git_server.create("provider/with-a-login", {"a": "b"}, login=("robot", "s3cret"))
    logins = tmp_path / "it's the logins"
    logins.write_text(f"https://elsewhere.example.org\n{git_server.url.replace('://', '://robot:s3cret@')}\n")
    assert await GitProvider(10, logins).commit_of(private.url, "main") == private.rev("main")
    with pytest.raises(NotFound):
        await GitProvider(10).commit_of(private.url, "main")


async def test_a_login_that_a_server_refuses_stays_in_its_file(git_server: GitServer, tmp_path: Path) -> None:
    private = git_server.create("provider/with-another-login", {"a": "b"}, login=("robot", "s3cret"))
    logins = tmp_path / "logins"
    logins.write_text(git_server.url.replace("://", "://robot:wrong@") + "\n")
    with pytest.raises(NotFound):
        await GitProvider(10, logins).commit_of(private.url, "main")
    assert "robot:wrong" in logins.read_text()
