"""Specs of links as people share them, and what they mean: repository, ref and the slug of the image, as BinderHub reads them."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from binderhub_service.errors import InvalidRequest
from binderhub_service.models import Source
from binderhub_service.providers import provider_for, shipped_providers
from binderhub_service.providers.ls_remote import LsRemote

GIST = "8a2f1d0c9b8e7d6f5a4b3c2d1e0f9a8b"
SHA = "0123456789abcdef0123456789abcdef01234567"
HUB, LAB, GISTS = "https://github.com", "https://gitlab.com", "https://gist.github.com"
UNDERSTOOD = [
    ("gh", "binder-examples/requirements/master", f"{HUB}/binder-examples/requirements", "master", "binder-examples-requirements"),
    ("gh", "binder-examples/requirements/HEAD", f"{HUB}/binder-examples/requirements", "HEAD", "binder-examples-requirements"),
    ("gh", f"o/r/{SHA}", f"{HUB}/o/r", SHA, "o-r"),
    ("gh", "o/r/feature/x", f"{HUB}/o/r", "feature/x", "o-r"),
    ("gh", "o/r/feature%2Fx", f"{HUB}/o/r", "feature/x", "o-r"),
    ("gh", "o/r/release%2F1.0%2Brc1", f"{HUB}/o/r", "release/1.0+rc1", "o-r"),
    ("gh", "o/r/1.0+rc1", f"{HUB}/o/r", "1.0+rc1", "o-r"),
    ("gh", "o/r.git/main", f"{HUB}/o/r", "main", "o-r"),
    ("gh", "o/r/main/", f"{HUB}/o/r", "main", "o-r"),
    ("gh", "o/r/main///", f"{HUB}/o/r", "main", "o-r"),
    ("gh", "O/R_1.x/v1.0", f"{HUB}/O/R_1.x", "v1.0", "O-R_1.x"),
    ("gh", "o/r.github.io/main", f"{HUB}/o/r.github.io", "main", "o-r.github.io"),
    ("gh", "o/.r/main", f"{HUB}/o/.r", "main", "o-.r"),
    ("gh", "o/-/main", f"{HUB}/o/-", "main", "o--"),
    ("gh", "o/r/caf%C3%A9", f"{HUB}/o/r", "café", "o-r"),
    ("gh", "o/r/refs/heads/main", f"{HUB}/o/r", "refs/heads/main", "o-r"),
    ("gh", "o/r/refs%2Fpull%2F12%2Fhead", f"{HUB}/o/r", "refs/pull/12/head", "o-r"),
    ("gh", "o/r/v1.0%23rc", f"{HUB}/o/r", "v1.0#rc", "o-r"),
    ("gh", "o%2Dx/r/main", f"{HUB}/o-x/r", "main", "o-x-r"),
    ("gh", "o/r/%7Bbranch%7D", f"{HUB}/o/r", "{branch}", "o-r"),
    ("git", "https%3A%2F%2Fgit.example.org%2Fo%2Fr/main", "https://git.example.org/o/r", "main", "https://git.example.org/o/r"),
    ("git", "https%3A%2F%2Fgit.example.org%2Fo%2Fr.git/main", "https://git.example.org/o/r.git", "main", "https://git.example.org/o/r.git"),
    ("git", "https%3A%2F%2Fgit.example.org%2Fo%2Fr/a%2Fb", "https://git.example.org/o/r", "a/b", "https://git.example.org/o/r"),
    ("git", "https%3A%2F%2Fgit.example.org%2Fo%2Fr/a/b", "https://git.example.org/o/r", "a/b", "https://git.example.org/o/r"),
    ("git", "http%3A%2F%2F127.0.0.1%3A8080%2Fr.git/main", "http://127.0.0.1:8080/r.git", "main", "http://127.0.0.1:8080/r.git"),
    ("git", "git%40git.example.org%3Ao%2Fr.git/main", "ssh://git@git.example.org/o/r.git", "main", "ssh://git@git.example.org/o/r.git"),
    ("git", "git@git.example.org:o%2Fr.git/main", "ssh://git@git.example.org/o/r.git", "main", "ssh://git@git.example.org/o/r.git"),
    ("git", "ssh%3A%2F%2Fgit%40git.example.org%3A2222%2Fr/main", "ssh://git@git.example.org:2222/r", "main", "ssh://git@git.example.org:2222/r"),
    ("git", "git%3A%2F%2Fgit.example.org%2Fr/HEAD", "git://git.example.org/r", "HEAD", "git://git.example.org/r"),
    ("git", "https%3A%2F%2Fgit.example.org%2F~me%2Fr+1/1.0+rc1", "https://git.example.org/~me/r+1", "1.0+rc1", "https://git.example.org/~me/r+1"),
    ("git", "https%3A%2F%2Fgithub.com%2Fo%2Fr/main", f"{HUB}/o/r", "main", f"{HUB}/o/r"),
    ("git", "https%253A%252F%252Fgit.example.org%252Fo%252Fr/main", "https://git.example.org/o/r", "main", "https://git.example.org/o/r"),
    ("git", "https%3A//git.example.org/o/r/main", "https://git.example.org/o/r", "main", "https://git.example.org/o/r"),
    ("git", "https:/git.example.org/o/r.git/a/b", "https://git.example.org/o/r.git", "a/b", "https://git.example.org/o/r.git"),
    ("git", "https://github.com/o/r/feature/x", f"{HUB}/o/r", "feature/x", f"{HUB}/o/r"),
    ("git", "https:/codeberg.org/o/r/feature/x/", "https://codeberg.org/o/r", "feature/x", "https://codeberg.org/o/r"),
    ("git", "https%3A//github.com/o/r", f"{HUB}/o/r", "HEAD", f"{HUB}/o/r"),
    ("gh", "https%3A%2F%2Fgithub.com%2Fo%2Fr/main", f"{HUB}/o/r", "main", "o-r"),
    ("gl", "group%252Fproject/main", f"{LAB}/group/project", "main", "group-project"),
    ("gl", "group/project/main", f"{LAB}/group/project", "main", "group-project"),
    ("gl", "group%2Fproject/main", f"{LAB}/group/project", "main", "group-project"),
    ("gl", "gitlab-org%2Fgitlab-foss/master", f"{LAB}/gitlab-org/gitlab-foss", "master", "gitlab_-org-gitlab_-foss"),
    ("gl", "a%2Fb%2Fc%2Fd/feature%2Fx", f"{LAB}/a/b/c/d", "feature/x", "a-b-c-d"),
    ("gl", "a%2Fb.c_d/v1.0", f"{LAB}/a/b.c_d", "v1.0", "a-b.c_d"),
    ("gl", "group%2Fproject.git/main", f"{LAB}/group/project", "main", "group-project"),
    ("gl", "group%2Fproject/main/", f"{LAB}/group/project", "main", "group-project"),
    ("gist", f"alice/{GIST}", f"{GISTS}/alice/{GIST}", "HEAD", GIST),
    ("gist", f"alice/{GIST}/", f"{GISTS}/alice/{GIST}", "HEAD", GIST),
    ("gist", f"alice/{GIST}/master", f"{GISTS}/alice/{GIST}", "master", GIST),
    ("gist", f"alice/{GIST}/{SHA}", f"{GISTS}/alice/{GIST}", SHA, GIST),
]
REFUSED = [
    ("gh", "o/r/a..b"),
    ("gh", "o/r/--upload-pack=id"),
    ("gh", "o/r/main%00"),
    ("gh", "o/r/main%0D%0AX: y"),
    ("gh", "o/r/a%20b"),
    ("gh", "../r/main"),
    ("gh", "%2e%2e/r/main"),
    ("gh", "o/%2e%2e/main"),
    ("gh", "o%2Fx/r/main"),
    ("gh", "o/r;id/main"),
    ("git", "file%3A%2F%2F%2Fetc/main"),
    ("git", "%2Fetc%2Fpasswd/main"),
    ("git", "ext%3A%3Ash%20-c%20id/main"),
    ("git", "--upload-pack%3Did/main"),
    ("git", "https%3A%2F%2Fa%3As3cret%40git.example.org%2Fr/main"),
    ("git", "https:/main"),
    ("gl", "project/main"),
    ("gl", "a%2F..%2Fb/main"),
    ("gl", "-x%2Fb/main"),
    ("gl", "a%2F-%2Fb/main"),
    ("gist", f"alice/{GIST}/a..b"),
    ("gist", "alice/not-a-gist"),
    ("gist", "../0123456789abcdef0123"),
]


@pytest.fixture(autouse=True)
def nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every ref be at one commit."""

    async def commit_of(self: LsRemote, url: str, ref: str) -> str:
        return SHA

    async def gist(self: object, gist_id: str, revision: str = "") -> dict[str, object]:
        return {"public": True, "history": [{"version": SHA}]}

    monkeypatch.setattr(LsRemote, "commit_of", commit_of)
    monkeypatch.setattr("binderhub_service.providers.github_api.GitHubApi.gist", gist)


async def source_of(name: str, spec: str) -> Source:
    providers = [cls() for cls in shipped_providers().values()]
    request = next(provider for provider in providers if provider.name == name).request_from_spec(spec)
    return await provider_for(request, providers).resolve(request)


@pytest.mark.parametrize(("name", "spec", "repo", "ref", "slug"), UNDERSTOOD, ids=[f"{row[0]}/{row[1]}" for row in UNDERSTOOD])
async def test_a_link_means_what_binderhub_takes_it_for(name: str, spec: str, repo: str, ref: str, slug: str) -> None:
    source = await source_of(name, spec)
    assert (source.provider, source.repo, source.ref, source.slug) == (name, repo, ref, slug)
    assert source.url == (f"{repo}.git" if name in {"gl", "gist"} else repo)


@pytest.mark.parametrize(("name", "spec", "repo", "ref", "slug"), UNDERSTOOD, ids=[f"{row[0]}/{row[1]}" for row in UNDERSTOOD])
async def test_the_link_of_the_commit_is_the_same_repository_for_ever(name: str, spec: str, repo: str, ref: str, slug: str) -> None:
    source = await source_of(name, spec)
    lasting = shipped_providers()[name]().resolved_spec(source)
    path = repo.removeprefix(f"{HUB}/").removeprefix(f"{LAB}/").removeprefix(f"{GISTS}/")
    assert lasting == f"{ {'git': quote(repo, safe=''), 'gl': quote(path, safe='')}.get(name, path) }/{SHA}"
    assert (await source_of(name, lasting)).commit == SHA


@pytest.mark.parametrize(("name", "spec"), REFUSED, ids=[f"{name}/{spec}" for name, spec in REFUSED])
async def test_a_link_that_makes_no_sense_is_refused(name: str, spec: str) -> None:
    with pytest.raises(InvalidRequest):
        await source_of(name, spec)


@pytest.mark.parametrize("spec", ["http:/git.example.org/o/r", "ssh%3A//git@h/r/HEAD"])
def test_an_address_that_a_page_has_not_escaped_is_said_to_be_so_where_its_end_cannot_be_told(spec: str) -> None:
    with pytest.raises(InvalidRequest, match="not escaped"):
        shipped_providers()["git"](LsRemote()).request_from_spec(spec)
