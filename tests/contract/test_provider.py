"""Every provider; those that ask Git servers, against a real one."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from binderhub_service.common.git_environment import git_environment
from binderhub_service.errors import InvalidRequest, NotAllowed, NotFound, Unavailable
from binderhub_service.models import Request, Source
from binderhub_service.names import digest
from binderhub_service.providers import Provider, check_permitted, provider_for, shipped_providers
from binderhub_service.providers.gist import GistProvider
from binderhub_service.providers.git import GitProvider
from binderhub_service.providers.github import GitHubProvider
from binderhub_service.providers.gitlab import GitLabProvider
from binderhub_service.providers.ls_remote import LsRemote
from tests.harness.git_server import LONGEST_HANG_SECONDS, GitServer, Repository

SECRET = "sekret-value"


@dataclass(frozen=True)
class Place:
    """A provider, and how its requests and links name a repository."""

    make: Callable[[str, LsRemote], Provider]
    name: Callable[[Repository], str]
    spec: Callable[[str, str], str]

    def __call__(self, repository: Repository, timeout_seconds: float = 20) -> Provider:
        """Return the provider for a repository's server."""
        return self.make(repository.url.rsplit("/", 2)[0], LsRemote(timeout_seconds))


def _short(repository: Repository) -> str:
    return "/".join(repository.url.removesuffix(".git").rsplit("/", 2)[1:])


GIT_PLACES = {
    "git": Place(
        make=lambda server, git: GitProvider(git),
        name=lambda repository: repository.url,
        spec=lambda repo, ref: f"{quote(repo, safe='')}/{quote(ref, safe='')}",
    ),
    "gh": Place(
        make=lambda server, git: GitHubProvider(git, url=server),
        name=_short,
        spec=lambda repo, ref: f"{repo}/{ref}",
    ),
    "gl": Place(
        make=lambda server, git: GitLabProvider(git, url=server),
        name=_short,
        spec=lambda repo, ref: f"{quote(repo, safe='')}/{quote(ref, safe='')}",
    ),
}
PLACES = {
    **GIT_PLACES,
    "gist": Place(
        make=lambda server, git: GistProvider(git, gist_url=server),
        name=lambda repository: f"alice/{digest(repository.url, 32)}",
        spec=lambda repo, ref: f"{repo}/{ref}",
    ),
}


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Place:
    return PLACES[request.param]


@pytest.fixture(params=GIT_PLACES)
def git_place(request: pytest.FixtureRequest) -> Place:
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
async def test_the_default_branch_is_found_by_any_name(git_place: Place, repository: Repository, ref: str) -> None:
    assert await commit_of(git_place, repository, ref) == repository.rev("main")


async def test_a_branch_that_only_ends_in_the_name_does_not_win(git_place: Place, repository: Repository) -> None:
    first = repository.rev("main")
    repository.commit({"other": "x"}, branch="a/main")
    assert await commit_of(git_place, repository, "main") == first
    assert await commit_of(git_place, repository, "a/main") == repository.rev("a/main") != first


async def test_a_name_that_only_ends_another_is_not_there(git_place: Place, repository: Repository) -> None:
    repository.commit({"other": "x"}, branch="topic/deep")
    with pytest.raises(NotFound) as caught:
        await commit_of(git_place, repository, "deep")
    assert caught.value.code == "ref_not_found"


async def test_a_branch_comes_before_a_tag_of_the_same_name(git_place: Place, repository: Repository) -> None:
    repository.tag("v1", annotated=True)
    on_branch = repository.commit({"other": "x"}, branch="v1", parent="main")
    assert await commit_of(git_place, repository, "v1") == on_branch
    assert await commit_of(git_place, repository, "refs/tags/v1") == repository.rev("main") != on_branch


@pytest.mark.parametrize("annotated", [False, True])
async def test_a_tag_means_its_commit(git_place: Place, repository: Repository, annotated: bool) -> None:
    held = repository.tag("v2", annotated=annotated)
    commit = await commit_of(git_place, repository, "v2")
    assert commit == repository.rev("main")
    assert (held != commit) == annotated


async def test_a_ref_may_be_named_as_a_clone_a_tag_or_a_pull_request_is(git_place: Place, repository: Repository) -> None:
    first = repository.rev("main")
    repository.tag("v3", annotated=True)
    newer = repository.commit({"other": "x"}, branch="proposal", parent="main")
    for name in ("refs/pull/12/head", "refs/merge-requests/7/head"):
        repository._git("update-ref", name, newer)
    repository._git("update-ref", "-d", "refs/heads/proposal")
    for ref in ("origin/main", "remotes/origin/main", "refs/remotes/origin/main", "heads/main", "tags/v3", "refs/tags/v3"):
        assert await commit_of(git_place, repository, ref) == first
    for ref in ("pull/12/head", "refs/pull/12/head", "merge-requests/7/head"):
        assert await commit_of(git_place, repository, ref) == newer
    repository.branch("origin/main", at=newer)
    assert await commit_of(git_place, repository, "origin/main") == newer, "a branch of this very name"


async def test_a_full_sha_is_taken_as_given_without_asking(git_place: Place, repository: Repository) -> None:
    for sha in ("0123456789abcdef" * 2 + "01234567", "0123456789abcdef" * 4):
        assert await commit_of(git_place, repository, sha) == sha
        assert await commit_of(git_place, repository, sha.upper()) == sha
    assert repository.requests == []


async def test_the_case_of_a_ref_counts(git_place: Place, repository: Repository) -> None:
    with pytest.raises(NotFound):
        await commit_of(git_place, repository, "MAIN")


@pytest.mark.parametrize("ref", ["{foo}", "{0.__class__}", "a'b\"c", "$(id)", "%s", "é", "日本"])
async def test_a_strange_but_legal_ref_does_no_harm(git_place: Place, repository: Repository, ref: str) -> None:
    with pytest.raises(NotFound):
        await commit_of(git_place, repository, ref)
    repository._git("update-ref", f"refs/heads/{ref}", repository.rev("main"))
    assert await commit_of(git_place, repository, ref) == repository.rev("main")


async def test_the_source_says_what_was_asked(git_place: Place, repository: Repository) -> None:
    provider = git_place(repository)
    source = await provider.resolve(Request(git_place.name(repository), "main"))
    by_default = await provider.resolve(Request(f" {git_place.name(repository)}/ "))
    assert (source.provider, source.ref, by_default.ref) == (provider.name, "main", "HEAD")
    assert source.repo == by_default.repo
    assert [url.removesuffix(".git") for url in (source.url, source.repo)] == [repository.url.removesuffix(".git")] * 2
    assert provider.canonical_repo(Request(git_place.name(repository))) == source.repo


# What is not there


async def test_an_unknown_ref_is_said_to_be_unknown(git_place: Place, repository: Repository) -> None:
    with pytest.raises(NotFound) as caught:
        await commit_of(git_place, repository, "nowhere")
    assert (caught.value.code, caught.value.status) == ("ref_not_found", 404)
    assert "nowhere" in caught.value.message
    assert caught.value.hint


async def test_a_repository_without_a_commit_says_so(git_place: Place, git_server: GitServer, request: pytest.FixtureRequest) -> None:
    with pytest.raises(NotFound) as caught:
        await commit_of(git_place, git_server.create(f"provider/empty-{request.node.callspec.id}"))
    assert caught.value.code == "ref_not_found"
    assert "no commit yet" in caught.value.message


async def test_a_default_branch_that_is_not_there_lists_the_branches_that_are(git_place: Place, repository: Repository) -> None:
    repository._git("symbolic-ref", "HEAD", "refs/heads/gone")
    for number in range(9):
        repository.branch(f"b{number}", at="main")
    for ref in ("", "HEAD"):
        with pytest.raises(NotFound) as caught:
            await commit_of(git_place, repository, ref)
        assert caught.value.message.endswith("is not there.")
        assert caught.value.hint == "Name one of its branches: b0, b1, b2, b3, b4, b5, b6, b7 and 2 more."


@pytest.mark.parametrize("ref", ["0123abc", "ABCDEF0"])
async def test_where_no_part_of_a_sha_can_be_looked_up_the_whole_is_asked_for(repository: Repository, ref: str) -> None:
    with pytest.raises(NotFound, match=f"'{ref}', and its server finds no commit by a part of its SHA") as caught:
        await GitProvider(LsRemote(20)).resolve(Request(repository.url, ref))
    assert caught.value.hint.startswith("Give the whole SHA")


async def test_an_unknown_repository_is_said_to_be_unknown(git_place: Place, repository: Repository) -> None:
    repository.url = repository.url.replace(".git", "-not.git")
    with pytest.raises(NotFound) as caught:
        await commit_of(git_place, repository)
    assert caught.value.code == "repository_not_found"


async def test_a_private_repository_is_like_one_that_is_not_there(git_place: Place, git_server: GitServer, request: pytest.FixtureRequest) -> None:
    private = git_server.create(f"provider/private-{request.node.callspec.id}", {"a": "b"}, login=("robot", "s3cret"))
    with pytest.raises(NotFound) as caught:
        await commit_of(git_place, private)
    assert caught.value.code == "repository_not_found"


# Who does not answer


async def test_a_server_that_hangs_is_given_up_in_time_with_nothing_left_behind(git_place: Place, repository: Repository) -> None:
    repository.hang()
    began = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        await commit_of(git_place, repository, timeout_seconds=1)
    assert (caught.value.code, caught.value.status) == ("git_server_timeout", 503)
    assert time.monotonic() - began < LONGEST_HANG_SECONDS / 2
    assert children_named_git() == []


async def test_asking_can_be_given_up_with_nothing_left_behind(git_place: Place, repository: Repository) -> None:
    repository.hang()
    asking = asyncio.create_task(commit_of(git_place, repository))
    while not repository.requests:
        await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert children_named_git() == []


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_server_in_trouble_is_unavailable_not_empty(git_place: Place, repository: Repository, status: int) -> None:
    repository.answer(status)
    with pytest.raises(Unavailable) as caught:
        await commit_of(git_place, repository, "main")
    assert caught.value.code == "git_server_unavailable"
    assert str(status) in caught.value.message


async def test_a_dropped_connection_is_unavailable(git_place: Place, repository: Repository) -> None:
    repository.drop()
    with pytest.raises(Unavailable):
        await commit_of(git_place, repository, "main")


async def test_a_refused_connection_is_unavailable(git_place: Place, repository: Repository) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        repository.url = f"http://127.0.0.1:{probe.getsockname()[1]}/o/r.git"
    with pytest.raises(Unavailable) as caught:
        await commit_of(git_place, repository, "main")
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
        "https://git.example.org/o/../evil/r",
        "https://git.example.org/o/%2e%2E/evil/r",
        "git@git.example.org:../r",
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


@pytest.mark.parametrize(("ref", "end"), [("main", "/main"), ("", "/HEAD"), ("a/b", "/a/b"), ("{é}", "/%7B%C3%A9%7D")])
def test_a_request_has_one_spec_that_leads_back_to_it(place: Place, repository: Repository, ref: str, end: str) -> None:
    provider = place(repository)
    spec = provider.spec_of(Request(f" {place.name(repository)}/", ref))
    assert spec == place.spec(place.name(repository), "").rstrip("/") + end
    again = provider.request_from_spec(spec)
    assert (provider.canonical_repo(again), again.ref) == (provider.canonical_repo(Request(place.name(repository))), ref)
    assert provider.spec_of(Request(provider.canonical_repo(again), ref)) == spec


def test_a_commit_has_a_spec_and_an_address_of_its_own(git_place: Place, repository: Repository) -> None:
    provider = git_place(repository)
    repo = provider.canonical_repo(Request(git_place.name(repository)))
    source = Source(provider.name, repo, repo, "slug", "main", "0" * 40)
    assert provider.resolved_spec(source) == provider.spec_of(Request(repo, "0" * 40))
    assert provider.ref_url(source) == (repo if provider.name == "git" else f"{repo}/tree/{'0' * 40}")


def test_forms_take_the_specs_that_the_provider_takes(place: Place, repository: Repository) -> None:
    provider = place(repository)
    shown = provider.display()
    assert re.fullmatch(shown.spec_pattern, provider.spec_of(Request(place.name(repository), "main")))
    assert shown.as_dict(provider.name)["id"] == provider.name
    if shown.repo_pattern:
        pattern = shown.repo_pattern.replace("(?<repo>", "(?P<repo>")
        for pasted in (place.name(repository), provider.canonical_repo(Request(place.name(repository)))):
            match = re.match(pattern, pasted)
            assert match
            assert match["repo"] == place.name(repository)


@pytest.mark.parametrize(("spec", "is_complete"), [("{}/main", True), ("{}/a/b", True), ("{}", False), ("{}/", False)])
def test_a_spec_without_its_ref_is_not_complete_to_binderhub(git_place: Place, repository: Repository, spec: str, is_complete: bool) -> None:
    provider = git_place(repository)
    asked = spec.format(git_place.spec(git_place.name(repository), "").rstrip("/"))
    if is_complete:
        provider.check_complete(asked)
        return
    with pytest.raises(InvalidRequest) as caught:
        provider.check_complete(asked)
    assert caught.value.message.startswith(f'Spec is not of the form "{provider.spec_form}", provided: "{asked}".')
    assert caught.value.message.endswith(f'Did you mean "{asked}/HEAD"?') == (not asked.endswith("/"))


def test_github_s_incomplete_specs_are_explained_as_binderhub_does() -> None:
    for spec, tip in (("o/r", ' Did you mean "o/r/HEAD"?'), ("o/main", ""), ("o/master", ""), ("o", "")):
        with pytest.raises(InvalidRequest) as caught:
            GitHubProvider().check_complete(spec)
        assert caught.value.message == f'Spec is not of the form "user/repo/ref", provided: "{spec}".{tip}'


# What an operator permits


def test_a_banned_repository_is_refused_in_binderhubs_words(place: Place, repository: Repository) -> None:
    provider = place(repository)
    request = Request(place.name(repository), "main", provider.name)
    spec = provider.spec_of(request)
    check_permitted(request, [provider], spec)
    provider = type(provider)(**{"url": provider.url} if hasattr(provider, "url") else {}, banned_specs=[re.escape(spec).upper()])
    with pytest.raises(NotAllowed) as caught:
        check_permitted(request, [provider], "as/given")
    assert caught.value.message == "Sorry, as/given is not allowed to launch. Please contact admins for more info!"
    with pytest.raises(NotAllowed, match=re.escape(spec)):
        check_permitted(request, [provider])


@pytest.mark.parametrize(
    "request_",
    [
        Request("o/r"),
        Request("https://github.com/o/r", provider="git"),
        Request("HTTPS://GitHub.com/O/r.git"),
        Request("o/r", provider="gh"),
        Request("https://github.com.:443/%6f/r", provider="git"),
        Request("https://github.com:443//o/r"),
    ],
)
def test_rules_hold_whatever_provider_a_repository_is_asked_for_by(request_: Request) -> None:
    git = GitProvider()
    for rules in ({"banned_specs": ["o/r/"]}, {"allowed_specs": ["good/"]}):
        with pytest.raises(NotAllowed):
            check_permitted(request_, [GitHubProvider(**rules), git])
    check_permitted(request_, [GitHubProvider(banned_specs=["o/s/"], allowed_specs=["o/"]), git])
    check_permitted(Request("https://git.example.org/o/r"), [GitHubProvider(banned_specs=["o/r/"]), git])


# Who understands what


def test_every_provider_of_the_package_is_found_by_its_name() -> None:
    assert list(shipped_providers()) == ["gh", "gist", "git", "gl", "image", "dockerfile", "archive", "upload"]
    without_commits = {"image", "dockerfile", "archive", "upload"}  # see tests/providers/test_image_provider.py and tests/hub/test_files.py
    assert {*PLACES} | without_commits == set(shipped_providers())


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
    github = GitHubProvider()
    assert github.understands(repo)
    assert github.canonical_repo(Request(repo)) == "https://github.com/o/r"


@pytest.mark.parametrize(
    "repo", ["https://gitlab.com/o/r", "https://github.com.evil.example/o/r", "https://github.com/o", "o/..", "../r", "o/r/s", "o/.git"]
)
def test_what_is_not_on_github_is_left_to_others(repo: str) -> None:
    github = GitHubProvider()
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
        ("HTTPS://Git.Example.ORG.:443//o/%72%65po%7e/caf%c3%a9%2Fx/", "https://git.example.org/o/repo~/caf%C3%A9%2Fx"),
        ("http://[::1]:8080/o/r", "http://[::1]:8080/o/r"),
        ("http://[::1]/o/r", "http://[::1]/o/r"),
    ],
)
def test_shorthand_is_written_out_and_spellings_are_one(repo: str, canonical: str) -> None:
    assert GitProvider().understands(repo)
    assert GitProvider().canonical_repo(Request(repo)) == canonical


def test_the_most_specific_provider_is_asked_first() -> None:
    providers = [GitProvider(), GitHubProvider(), GistProvider(), GitLabProvider()]
    for repo, name in {
        "https://github.com/o/r": "gh",
        "o/r": "gh",
        "https://gist.github.com/alice/0123456789abcdef0123456789abcdef": "gist",
        "https://gitlab.com/group/sub/r": "gl",
        "git@gitlab.com:group/r.git": "gl",
        "https://git.example.org/o/r": "git",
    }.items():
        assert provider_for(Request(repo), providers).name == name
    assert provider_for(Request("https://github.com/o/r", provider="git"), providers).name == "git"
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
        await LsRemote(10).commit_of(f"file://{repository.directory}", "main")


async def test_a_private_repository_is_reached_with_the_login_for_its_server_and_no_other(git_server: GitServer, tmp_path: Path) -> None:
    private = git_server.create("provider/with-a-login", {"a": "b"}, login=("robot", "s3cret"))
    logins = tmp_path / "it's the logins"
    logins.write_text(f"https://elsewhere.example.org\n{git_server.url.replace('://', '://robot:s3cret@')}\n")
    assert await LsRemote(10, logins).commit_of(private.url, "main") == private.rev("main")
    with pytest.raises(NotFound):
        await LsRemote(10).commit_of(private.url, "main")


async def test_a_login_that_a_server_refuses_stays_in_its_file(git_server: GitServer, tmp_path: Path) -> None:
    private = git_server.create("provider/with-another-login", {"a": "b"}, login=("robot", "s3cret"))
    logins = tmp_path / "logins"
    logins.write_text(git_server.url.replace("://", "://robot:wrong@") + "\n")
    with pytest.raises(NotFound):
        await LsRemote(10, logins).commit_of(private.url, "main")
    assert "robot:wrong" in logins.read_text()
