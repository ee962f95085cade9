"""What people paste is taken apart in one place, with the names of the repository's branches and tags where the address alone does not tell."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from binderhub_service.builds.limits import BuildLimits
from binderhub_service.builds.pages import located
from binderhub_service.builds.resolver import Resolver
from binderhub_service.errors import BinderError, InvalidRequest, NotAllowed, NotFound
from binderhub_service.models import Request
from binderhub_service.providers import shipped_providers
from binderhub_service.providers.git import GitProvider
from binderhub_service.providers.ls_remote import LsRemote
from tests.harness.git_server import Repository

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "addresses.json").read_text())


class Names(LsRemote):
    """Git servers of which every repository has the same branches; remembers what was asked."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = set(names)
        self.asked: list[tuple[str, Sequence[str]]] = []

    async def names_among(self, url: str, names: Sequence[str]) -> frozenset[str]:
        self.asked.append((url, names))
        return frozenset(self.names & set(names))


async def understood(git: LsRemote, pasted: str, ref: str = "", path: str = "", **rules: Any) -> tuple[str, str, str]:
    """Return what is made of something pasted."""
    providers = [cls(git, **rules) for cls in shipped_providers().values()]
    request, found = await located(Request(pasted, ref), path, "alice", Resolver(providers, BuildLimits()), shorthand=True)
    return request.repo, request.ref, found


@pytest.mark.parametrize("case", VECTORS["understood"], ids=lambda case: case["pasted"].strip())
async def test_a_pasted_address_means_a_repository_a_ref_and_a_path(case: dict[str, Any]) -> None:
    git = Names(*case.get("names", []))
    assert await understood(git, case["pasted"].strip(), **case.get("typed", {})) == (case["repo"], case["ref"], case["path"])
    assert len(git.asked) == (1 if "names" in case else 0), "asked once, and only where the address does not tell"


@pytest.mark.parametrize("pasted", VECTORS["refused_for_credentials"])
async def test_a_credential_is_refused_before_anybody_is_asked_and_not_repeated(pasted: str) -> None:
    git = Names("main")
    with pytest.raises(InvalidRequest) as caught:
        await understood(git, pasted)
    assert caught.value.code == "credentials_in_address"
    assert "sekret" not in f"{caught.value} {caught.value.hint}"
    assert git.asked == []


@pytest.mark.parametrize(
    "pasted", ["https://github.com/", "https://github.com/o", "https://[broken/o/r", "https://github.com/o/r with words", "", "-x"]
)
async def test_what_names_no_repository_is_refused(pasted: str) -> None:
    with pytest.raises(InvalidRequest):
        await understood(Names(), pasted)


@pytest.mark.parametrize("pasted", VECTORS["refused"])
async def test_what_does_not_say_what_is_meant_is_refused_in_a_sentence_and_nobody_is_asked(pasted: str) -> None:
    git = Names("main")

    async def asked() -> None:
        request, _ = await located(Request(pasted), "", "alice", Resolver([GitProvider(git)], BuildLimits()), shorthand=True)
        GitProvider(git).canonical_repo(request)

    with pytest.raises(BinderError) as caught:
        await asked()
    assert (caught.value.status, str(caught.value)[-1:]) == (400, ".")
    assert git.asked == []


@pytest.mark.parametrize("page", ["compare/main...x", "releases/latest", "pull/12", "commit/0123456"])
async def test_a_ref_that_is_typed_wins_over_what_a_page_shows(page: str) -> None:
    assert await understood(Names(), f"https://github.com/o/r/{page}", ref="v1") == ("https://github.com/o/r", "v1", "")


GIST, REVISION = "0123456789abcdef0123", "0123456789abcdef0123456789abcdef01234567"
OF_NOBODY, AWAY = "f" * 20, "e" * 20
OF_GISTS: dict[str, dict[str, Any]] = {GIST: {"owner": {"login": "u"}}, OF_NOBODY: {"owner": None}}


@pytest.fixture
def gists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let GitHub know two gists, of which one is nobody's."""

    async def gist(self: object, gist_id: str, revision: str = "") -> dict[str, Any] | None:
        return OF_GISTS.get(gist_id)

    monkeypatch.setattr("binderhub_service.providers.github_api.GitHubApi.gist", gist)


@pytest.mark.usefixtures("gists")
@pytest.mark.parametrize(
    ("pasted", "understood_as"),
    [
        (f"https://gist.github.com/{GIST}", (f"https://gist.github.com/u/{GIST}", "", "")),
        (f"https://gist.github.com/{GIST}.git", (f"https://gist.github.com/u/{GIST}", "", "")),
        (f"git@gist.github.com:{GIST}.git", (f"https://gist.github.com/u/{GIST}", "", "")),
        (f"https://gist.github.com/{GIST}/{REVISION}", (f"https://gist.github.com/u/{GIST}", REVISION, "")),
        (f"https://nbviewer.org/gist/{GIST}/a.ipynb", (f"https://gist.github.com/u/{GIST}", "", "a.ipynb")),
        (f"https://gist.github.com/{OF_NOBODY}", (f"https://gist.github.com/anonymous/{OF_NOBODY}", "", "")),
    ],
)
async def test_a_gist_without_its_user_is_the_users(pasted: str, understood_as: tuple[str, str, str]) -> None:
    assert await understood(Names(), pasted) == understood_as


@pytest.mark.usefixtures("gists")
async def test_the_user_of_a_gist_that_is_not_there_cannot_be_told() -> None:
    with pytest.raises(NotFound, match=f"The gist https://gist.github.com/{AWAY} does not exist"):
        await understood(Names(), f"https://gist.github.com/{AWAY}")


async def test_a_branch_that_is_not_there_is_said_in_a_sentence() -> None:
    with pytest.raises(NotFound, match=r"has no branch or tag with which 'gone/for/good\.ipynb' begins\.") as caught:
        await understood(Names("main"), "https://github.com/o/r/blob/gone/for/good.ipynb")
    assert caught.value.code == "ref_not_found"


async def test_a_page_of_a_branch_that_is_allowed_is_taken_apart_and_one_of_a_banned_repository_asks_nobody() -> None:
    git = Names("main")
    assert await understood(git, "https://github.com/o/r/tree/main/a", allowed_specs=["^o/r/main$", "^https"]) == (
        "https://github.com/o/r",
        "main",
        "a",
    )
    git.asked.clear()
    with pytest.raises(NotAllowed):
        await understood(git, "https://github.com/o/r/tree/main/a", banned_specs=["^o/"])
    assert git.asked == []


async def test_the_branches_and_tags_of_a_real_repository_tell_where_the_path_begins(new_repository: Callable[..., Repository]) -> None:
    repository = new_repository({"a.ipynb": "{}"})
    repository.branch("feature/x")
    repository.tag("feature")
    address = repository.url.removesuffix(".git")
    for end, ref, path in (
        ("feature/x/notebooks/a.ipynb", "feature/x", "notebooks/a.ipynb"),
        ("feature/y", "feature", "y"),
        ("main/a.ipynb", "main", "a.ipynb"),
    ):
        assert await understood(LsRemote(20), f"{address}/-/tree/{end}") == (address, ref, path)
    questions = repository.count("info/refs")
    with pytest.raises(BinderError, match="no branch or tag"):
        await understood(LsRemote(20), f"{address}/-/tree/nothing/a.ipynb")
    assert repository.count("info/refs") == questions + 1


async def test_a_request_that_names_its_provider_is_taken_as_it_is() -> None:
    request = Request("https://github.com/o/r/tree/feature/x", "main", "git")
    assert await located(request, "p", "alice", Resolver([GitProvider(Names())], BuildLimits())) == (request, "p")
