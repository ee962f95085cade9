"""GitHub's API and GitLab's: abbreviated commits, gists, and how their limits are told."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator

import pytest

from binderhub_service.errors import NotAllowed, NotFound, TooMany, Unavailable
from binderhub_service.models import Request
from binderhub_service.providers.gist import GistProvider
from binderhub_service.providers.github import GitHubProvider
from binderhub_service.providers.gitlab import GitLabProvider, slug_of
from tests.harness.git_server import GitServer
from tests.harness.web_api import Answer, WebApiServer

SHA = "0123456789abcdef0123456789abcdef01234567"
ODD = [Answer("<html>sign in</html>"), Answer([]), Answer(""), Answer("null"), Answer({}), Answer("[" * 100_000)]
OLDER = "76543210fedcba9876543210fedcba9876543210"
OLDEST = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
GIST = "f0e1d2c3b4a5968778695a4b3c2d1e0f"
# As https://docs.github.com/en/rest/gists/gists shows it, shortened.
A_GIST = {
    "id": GIST,
    "public": True,
    "owner": {"login": "alice"},
    "files": {"a.ipynb": {"filename": "a.ipynb", "content": "{}"}},
    "history": [{"version": SHA, "committed_at": "2026-01-02T00:00:00Z"}, {"version": OLDER, "committed_at": "2026-01-01T00:00:00Z"}],
}
# As https://docs.github.com/en/rest/commits/commits shows it, shortened.
A_COMMIT = {"sha": SHA, "commit": {"message": "Begin"}}
LEFT = {"X-RateLimit-Remaining": "59", "X-RateLimit-Limit": "60"}


@pytest.fixture
async def api() -> AsyncIterator[WebApiServer]:
    async with WebApiServer().running() as server:
        yield server


def gist(api: WebApiServer, **settings: object) -> GistProvider:
    return GistProvider(api_url=api.url, **settings)


@pytest.fixture
def short(git_server: GitServer, request: pytest.FixtureRequest) -> str:
    """Return the address of a repository that has no branch of the abbreviation's name."""
    return git_server.create(f"short/{request.node.name}", {"a": "b"}).url.removesuffix(".git")


# Abbreviated commits


async def test_github_says_what_an_abbreviated_commit_is(api: WebApiServer, short: str) -> None:
    server, owner, repository = short.rsplit("/", 2)
    api.answers[f"/repos/{owner}/{repository}/commits/0123456"] = Answer(A_COMMIT, headers=LEFT)
    provider = GitHubProvider(url=server, api_url=api.url)
    source = await provider.resolve(Request(short, "0123456"))
    assert (source.commit, source.ref, provider.api.remaining) == (SHA, "0123456", 59)


async def test_an_abbreviation_may_be_in_capitals(api: WebApiServer, short: str) -> None:
    server, owner, repository = short.rsplit("/", 2)
    api.answers[f"/repos/{owner}/{repository}/commits/0123abc"] = Answer(A_COMMIT, headers=LEFT)
    assert (await GitHubProvider(url=server, api_url=api.url).resolve(Request(short, "0123ABC"))).commit == SHA


async def test_an_abbreviation_of_nothing_is_not_found_and_remembered(api: WebApiServer, short: str) -> None:
    provider = GitHubProvider(url=short.rsplit("/", 2)[0], api_url=api.url)
    for _ in range(2):
        with pytest.raises(NotFound) as caught:
            await provider.resolve(Request(short, "0123456"))
        assert caught.value.code == "ref_not_found"
    assert len(api.asked) == 1


async def test_gitlab_says_what_an_abbreviated_commit_is(api: WebApiServer, git_server: GitServer) -> None:
    git_server.create("lab/sub/r", {"a": "b"})
    provider = GitLabProvider(url=git_server.url, private_token="glpat-secret")
    provider._api._url = f"{api.url}/api/v4"
    api.answers["/api/v4/projects/lab%2Fsub%2Fr/repository/commits/0123456"] = Answer({"id": SHA, "short_id": "01234567"})
    source = await provider.resolve(Request("lab/sub/r", "0123456"))
    assert (source.commit, source.slug, source.url) == (SHA, "lab-sub-r", f"{git_server.url}/lab/sub/r.git")
    assert api.asked[0][1]["Private-Token"] == "glpat-secret"
    assert "secret" not in api.paths[0]
    with pytest.raises(NotFound):
        await provider.resolve(Request("lab/sub/r", "abcdef0"))
    answers = [Answer({"message": "401 Unauthorized"}, 401), *ODD, Answer({"id": 5}), Answer({"id": "../../x"}), Answer({"id": f"{SHA}\n"})]
    for answer in answers:
        api.refusal = answer
        with pytest.raises(Unavailable):
            await provider.resolve(Request("lab/sub/r", "abcdef0"))


def test_a_dash_in_a_gitlab_path_keeps_slugs_apart() -> None:
    """As BinderHub forms them: ``a-b/c`` and ``a/b-c`` are two projects."""
    assert slug_of("gitlab-org/gitlab-foss") == "gitlab_-org-gitlab_-foss"


# Gists


@pytest.mark.parametrize("ref", ["", "HEAD", "main", "master"])
async def test_a_gist_s_newest_revision_has_many_names(api: WebApiServer, ref: str) -> None:
    api.answers[f"/gists/{GIST}"] = Answer(A_GIST, headers=LEFT)
    source = await gist(api).resolve(Request(f"alice/{GIST}", ref))
    assert (source.commit, source.slug) == (SHA, GIST)
    assert (source.repo, source.url) == (f"https://gist.github.com/alice/{GIST}", f"https://gist.github.com/alice/{GIST}.git")
    assert gist(api).ref_url(source) == f"https://gist.github.com/alice/{GIST}/{SHA}"
    assert gist(api).resolved_spec(source) == f"alice/{GIST}/{SHA}"


async def test_a_gist_s_older_revisions_are_found(api: WebApiServer) -> None:
    api.answers[f"/gists/{GIST}"] = Answer(A_GIST)
    api.answers[f"/gists/{GIST}/{OLDEST}"] = Answer(A_GIST)
    for ref, commit in ((OLDER, OLDER), (OLDER[:7], OLDER), (OLDEST, OLDEST)):
        assert (await gist(api).resolve(Request(f"alice/{GIST}", ref))).commit == commit


@pytest.mark.parametrize("ref", ["b" * 40, "branch", OLDEST[:8]])
async def test_a_revision_that_a_gist_does_not_have_is_not_found(api: WebApiServer, ref: str) -> None:
    api.answers[f"/gists/{GIST}"] = Answer(A_GIST)
    with pytest.raises(NotFound) as caught:
        await gist(api).resolve(Request(f"alice/{GIST}", ref))
    assert caught.value.code == "ref_not_found"


async def test_a_gist_that_is_not_there_is_not_found(api: WebApiServer) -> None:
    with pytest.raises(NotFound) as caught:
        await gist(api).resolve(Request(f"alice/{GIST}"))
    assert caught.value.code == "repository_not_found"


async def test_a_secret_gist_has_to_be_allowed(api: WebApiServer) -> None:
    api.answers[f"/gists/{GIST}"] = Answer({**A_GIST, "public": False})
    with pytest.raises(NotAllowed, match="secret"):
        await gist(api).resolve(Request(f"alice/{GIST}"))
    assert (await gist(api, allow_secret_gist=True).resolve(Request(f"alice/{GIST}"))).commit == SHA


# What is asked again, and what is not


async def test_an_answer_that_has_not_changed_is_not_sent_again(api: WebApiServer) -> None:
    api.answers[f"/gists/{GIST}"] = Answer(A_GIST, headers={"ETag": '"one"'})
    provider = gist(api)
    for _ in range(2):
        assert (await provider.resolve(Request(f"alice/{GIST}"))).commit == SHA
    assert [headers.get("If-None-Match") for _, headers in api.asked] == [None, '"one"']
    api.answers[f"/gists/{GIST}"] = Answer({**A_GIST, "history": [{"version": OLDEST}]}, headers={"ETag": '"two"'})
    assert (await provider.resolve(Request(f"alice/{GIST}"))).commit == OLDEST


@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        ({}, None),
        ({"access_token": "t0ken"}, "token t0ken"),
        ({"client_id": "id", "client_secret": "s"}, "Basic aWQ6cw=="),
        ({"client_id": "id"}, None),
    ],
)
async def test_github_is_told_who_asks_as_it_is_configured(api: WebApiServer, settings: dict[str, str], sent: str | None) -> None:
    api.answers[f"/gists/{GIST}"] = Answer(A_GIST)
    await gist(api, **settings).resolve(Request(f"alice/{GIST}"))
    assert api.asked[0][1].get("Authorization") == sent


async def test_the_environment_holds_the_token_as_for_binderhub(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACCESS_TOKEN", "GITHUB_CLIENT_ID", "GITHUB_CLIENT_SECRET", "GITLAB_PRIVATE_TOKEN", "GITLAB_ACCESS_TOKEN"):
        monkeypatch.setenv(name, f"of {name}")
    github, gitlab = GitHubProvider(), GitLabProvider()
    assert (github.access_token, github.client_id, github.client_secret) == (
        "of GITHUB_ACCESS_TOKEN",
        "of GITHUB_CLIENT_ID",
        "of GITHUB_CLIENT_SECRET",
    )
    assert (gitlab.private_token, gitlab.access_token) == ("of GITLAB_PRIVATE_TOKEN", "of GITLAB_ACCESS_TOKEN")


# Limits and trouble


@pytest.mark.parametrize(("seconds", "minutes"), [(10, 5), (299, 5), (306, 10), (3540, 60)])
async def test_a_reached_limit_is_told_with_the_time_to_wait(api: WebApiServer, seconds: int, minutes: int) -> None:
    reset = str(int(time.time()) + seconds)
    api.refusal = Answer({"message": "API rate limit exceeded"}, 403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset})
    provider = gist(api)
    with pytest.raises(TooMany) as caught:
        await provider.resolve(Request(f"alice/{GIST}"))
    assert caught.value.message == f"GitHub rate limit exceeded. Try again in {minutes} minutes."
    assert seconds - 5 <= caught.value.retry_after_seconds <= seconds
    assert provider.api.remaining == 0


async def test_a_secondary_limit_says_itself_how_long(api: WebApiServer) -> None:
    api.refusal = Answer({"message": "secondary rate limit"}, 429, {"Retry-After": "61"})
    with pytest.raises(TooMany) as caught:
        await gist(api).resolve(Request(f"alice/{GIST}"))
    assert caught.value.retry_after_seconds == 61


@pytest.mark.parametrize(
    "refusal",
    [
        *ODD,
        Answer({"public": True, "history": [{"version": "../x"}]}),
        Answer({"public": True, "history": [{"version": None}]}),
        Answer({}, 403, {"X-RateLimit-Remaining": "9" * 5000}),
        Answer("oops", 500),
        Answer("", 502),
        Answer({}, 401),
        Answer({}, 403, LEFT),
        Answer("<html>", 200),
        Answer([], 200),
        Answer("[" * 100_000),
        Answer({"public": True, "history": 5}),
        Answer({"public": True, "history": ["x"]}),
        Answer({}, 418),
    ],
)
async def test_no_sensible_answer_is_unavailable_and_not_missing(api: WebApiServer, refusal: Answer) -> None:
    api.refusal = refusal
    with pytest.raises(Unavailable) as caught:
        await gist(api).resolve(Request(f"alice/{GIST}"))
    assert caught.value.code == "provider_unavailable"


async def test_an_api_that_is_not_there_is_unavailable() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        provider = GistProvider(api_url=f"http://127.0.0.1:{probe.getsockname()[1]}")
    with pytest.raises(Unavailable):
        await provider.resolve(Request(f"alice/{GIST}"))


async def test_an_answer_without_end_is_given_up(api: WebApiServer) -> None:
    api.refusal = Answer("x" * (33 * 1024**2))
    with pytest.raises(Unavailable, match="more than makes sense"):
        await gist(api).resolve(Request(f"alice/{GIST}"))
