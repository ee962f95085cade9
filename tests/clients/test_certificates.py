"""Sites whose certificates are of an authority of their own, as behind a proxy that looks into TLS."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme

from binderhub_service.clients.trust import trusted
from binderhub_service.errors import Unavailable
from binderhub_service.providers.ls_remote import LsRemote
from tests.contract.conftest import build_directory, package_index, uv_cache
from tests.harness.build_directory import BuildDirectory, Made
from tests.harness.git_server import GitServer, Repository
from tests.harness.index_server import PackageIndex

__all__ = ["build_directory", "package_index", "uv_cache"]  # fixtures

POST_BUILD = """\
#!/bin/sh
git ls-remote "$(cat address)" > seen || exit 4
python -c "import urllib.request, os; urllib.request.urlopen(os.environ['UV_DEFAULT_INDEX'])" || exit 5
"""


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    """The servers' side."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, tls: ssl.SSLContext) -> Iterator[Repository]:
    with GitServer(tmp_path_factory.mktemp("git"), tls=tls).running() as server:
        found = server.create("own/authority", {"requirements.txt": "common\n"})
        found.commit({"requirements.txt": "common\n", "address": found.url, "postBuild": POST_BUILD})
        yield found


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, tls: ssl.SSLContext) -> Iterator[PackageIndex]:
    index = PackageIndex(tmp_path_factory.mktemp("secure-index"), tls)
    index.add("base")
    index.add("common")
    with index.running():
        yield index


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    """A file with the authority's certificate."""
    file = tmp_path / "authorities.pem"
    authority.cert_pem.write_to_path(file)
    return str(file)


@pytest.fixture(autouse=True)
def _nothing_is_trusted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What this machine trusts is not looked at, and what the service trusts is found out anew."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH"):
        monkeypatch.delenv(name, raising=False)
    trusted.cache_clear()
    yield
    trusted.cache_clear()


async def made(build_directory: BuildDirectory, repository: Repository) -> Made:
    return await build_directory.make(build_directory.ask(repository.url, repository.rev("main")))


@pytest.mark.parametrize("file", ["none", "not there"])
async def test_a_git_server_that_is_not_trusted_is_said_with_the_cure(repository: Repository, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    if file == "not there":
        monkeypatch.setenv("GIT_SSL_CAINFO", "/nowhere/authorities.pem")
    with pytest.raises(Unavailable, match=r"could not be asked \(its certificate is not trusted here\)\.$") as refused:
        await LsRemote(20).commit_of(repository.url, "main")
    assert "SSL_CERT_FILE" in (refused.value.hint or "")


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "GIT_SSL_CAINFO"])
async def test_git_trusts_what_the_operator_names(repository: Repository, monkeypatch: pytest.MonkeyPatch, bundle: str, variable: str) -> None:
    monkeypatch.setenv(variable, bundle)
    assert await LsRemote(20).commit_of(repository.url, "main") == repository.rev("main")


async def test_a_whole_build_trusts_what_one_variable_names(
    build_directory: BuildDirectory, repository: Repository, index: PackageIndex, monkeypatch: pytest.MonkeyPatch, bundle: str
) -> None:
    """Git, uv, and git and Python in `postBuild`."""
    monkeypatch.setenv("SSL_CERT_FILE", bundle)
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
    ended = await made(build_directory, repository)
    assert ended.error is None, ended.log


async def test_a_package_index_that_is_not_trusted_is_said_with_the_cure(
    build_directory: BuildDirectory, repository: Repository, index: PackageIndex, monkeypatch: pytest.MonkeyPatch, bundle: str
) -> None:
    monkeypatch.setenv("GIT_SSL_CAINFO", bundle)
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
    error = (await made(build_directory, repository)).error
    assert error
    assert error["message"] == "The package index could not be reached: its certificate is not trusted here."
    assert "SSL_CERT_FILE" in error["hint"]
    assert error["code"] == "package_index_unavailable"


def test_what_the_service_asks_itself_trusts_the_same(index: PackageIndex, monkeypatch: pytest.MonkeyPatch, bundle: str) -> None:
    """Forges and registries."""
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(index.url, verify=trusted())
    trusted.cache_clear()
    monkeypatch.setenv("SSL_CERT_FILE", bundle)
    assert httpx.get(index.url, verify=trusted()).status_code == 200
