"""Fixtures of the tests on a real cluster; where there is none, they are skipped."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import pytest

from tests.harness.boatyard import FILE_BYTES, PASSWORD, archives_of_boatyard
from tests.harness.git_server import GitServer
from tests.harness.hub import HubProcess
from tests.harness.web_files import serving
from tests.kubernetes.images import builder_image, debian, registry, singleuser_image, small_image
from tests.kubernetes.kubectl import fresh_namespace, reason_to_skip, run
from tests.legacy.conftest import KEY

GIT_PASSWORD = "s3cret"
CONFIG = """
c.JupyterHub.hub_bind_url = c.JupyterHub.hub_bind_url.replace("127.0.0.1", {host!r})
c.JupyterHub.hub_connect_ip = {host!r}
c.KubeSpawner.namespace = {namespace!r}
c.KubeSpawner.slug_scheme = "safe"
c.KubeSpawner.mem_limit = "1G"
c.KubeSpawner.cpu_guarantee = 0.2
c.Spawner.consecutive_failure_limit = 5
c.Spawner.start_timeout = 120
"""


@pytest.fixture(scope="session", autouse=True)
def cluster() -> None:
    """Skip everything here where there is no cluster, and fail it at once, saying why, where a cluster runs no pods."""
    reason = reason_to_skip()
    if reason:
        pytest.skip(reason)
    with fresh_namespace() as name:
        run(name, debian(), "probe", "true")


@pytest.fixture
def namespace() -> Iterator[str]:
    """A namespace of a test's own."""
    with fresh_namespace() as name:
        yield name


@pytest.fixture(scope="session")
def git_server(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    """A real smart-HTTP Git server that pods reach; give repositories names of their own."""
    with GitServer(tmp_path_factory.mktemp("git"), os.environ["KUBE_TEST_HOST"]).running() as server:
        yield server


@pytest.fixture(scope="package")
def builds_namespace(cluster: None) -> Iterator[str]:
    """The namespace of builds and servers."""
    with fresh_namespace() as name:
        yield name


@pytest.fixture(scope="session")
def base(cluster: None) -> str:
    """An image that what boatyard builds may begin with."""
    return small_image()


@pytest.fixture(scope="session")
def web(base: str) -> Iterator[str]:
    """A web server with archives that become images."""
    with serving(archives_of_boatyard(base)) as address:
        yield address


@pytest.fixture(scope="package")
def kubernetes_hub(tmp_path_factory: pytest.TempPathFactory, builds_namespace: str, git_server: GitServer, web: str) -> Iterator[HubProcess]:
    """A hub whose builds and servers are pods; what is secret is in no log."""
    settings = {
        "server_namespace": builds_namespace,
        "builder_image": builder_image(),
        "image_prefix": f"t{secrets.token_hex(4)}-",
        "plain_http_registries": [registry()],
        "memory_limit_bytes": 2 * 1024**3,
        "git_credentials": f"http://robot:{GIT_PASSWORD}@{os.environ['KUBE_TEST_HOST']}{git_server.url[git_server.url.rindex(':') :]}",
    }
    service = {
        "KubernetesMode": settings,
        "ImageProvider": {"allowed_images": [singleuser_image()]},
        "GitHubProvider": {"url": web},
        "Limits": {"file_bytes": FILE_BYTES},
        "LegacyApis": {"boatyard": True, "registry": True, "api_key": KEY},
    }
    more = {"mode": "kubernetes", "registry": registry(), "namespace": builds_namespace, "service": service}
    config = CONFIG.format(host=os.environ["KUBE_TEST_HOST"], namespace=builds_namespace)
    with HubProcess(tmp_path_factory.mktemp("kubernetes-hub"), config=config, more=more) as hub:
        yield hub
        hub.stop_servers()
        assert PASSWORD not in hub.log()
        assert GIT_PASSWORD not in hub.log()
