"""The chart with all that can be elsewhere: state in PostgreSQL, images in a registry with a login, builds in a namespace that it makes for them.

In the release's own namespace, the cluster admits only what the Pod Security level ``restricted`` allows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.git_server import GitServer
from tests.harness.registries import OwnRegistry
from tests.harness.waiting import wait_for
from tests.kubernetes.chart.helm import REASON
from tests.kubernetes.chart.release import BEFORE, Release, little_dockerfile
from tests.kubernetes.images import registry
from tests.kubernetes.kubectl import found, kubectl
from tests.postgresql import PASSWORD as DATABASE_PASSWORD
from tests.postgresql import PostgreSQL, new_server

pytestmark = [pytest.mark.skipif(bool(REASON), reason=REASON), pytest.mark.slow]
LOGIN = ("robot", "the-password-of-a-registry")


@pytest.fixture(scope="module")
def builds(place: str) -> Iterator[str]:
    """The namespace that builds have for themselves, which the chart makes."""
    name = f"{place}-builds"
    yield name
    kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")


@pytest.fixture(scope="module")
def database(cluster: None) -> Iterator[PostgreSQL]:
    """A database that pods reach."""
    yield from new_server(os.environ["KUBE_TEST_HOST"])


@pytest.fixture(scope="module")
def private(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRegistry]:
    """A registry that lets in nobody without the login; the node knows that it speaks plain http."""
    hosts = Path(os.environ["KUBECONFIG"]).with_name("certs.d")  # where the test cluster's containerd looks
    if not hosts.is_dir():
        pytest.skip("the node cannot be told that a registry speaks plain http")
    with OwnRegistry(tmp_path_factory.mktemp("registry") / "data", login=LOGIN, address=os.environ["KUBE_TEST_HOST"]).running() as own:
        told = hosts / own.host / "hosts.toml"
        told.parent.mkdir()
        told.write_text(f'server = "http://{own.host}"\n[host."http://{own.host}"]\n')
        yield own


@pytest.fixture(scope="module")
def release(chart: Path, place: str, storage_class: str, builds: str, database: PostgreSQL, private: OwnRegistry) -> Iterator[Release]:
    name, password = LOGIN
    more = {
        "service": {"state": {"persistent": False}},
        "database": {"url": database.url},
        "registry": {"prefix": f"{private.host}/people", "username": name, "password": password},
        "builder": {"namespace": builds, "createNamespace": True},
        "servers": {"restricted": True},
        "jupyterhub": {"singleuser": {"cloudMetadata": {"blockWithIptables": False}}},
        "config": {"KubernetesMode": {"plain_http_registries": [private.host, registry()]}},
    }
    kubectl("label", "namespace", place, "pod-security.kubernetes.io/enforce=restricted")
    with Release(chart, place, storage_class, more) as release:
        yield release


def test_a_build_goes_on_and_all_builds_are_known_when_the_services_pod_is_killed(release: Release, git_server: GitServer, builds: str) -> None:
    health = release.service("GET", "/health").json()
    assert {"service": "builder", "ok": True} in health["checks"], health
    repository = git_server.create("chart/elsewhere", {"Dockerfile": little_dockerfile(15)})
    alice = release.token("alice")
    build = release.build(repository.url, alice)
    before = release.read_to(build["id"], alice, BEFORE)
    assert [pod["metadata"]["name"] for pod in found("pods", builds)] == [f"build-{build['id']}"]
    release.kill()
    release.wait_until_up()
    event_log = release.read_on(build["id"], alice, before)
    assert event_log[-1].data["state"] == "ready", event_log[-3:]
    release.kill()
    release.wait_until_up()
    assert release.follow(build["id"], alice) == event_log


def test_its_image_is_launched_by_those_who_know_the_login_and_nothing_shows_a_password(
    release: Release, git_server: GitServer, builds: str, private: OwnRegistry
) -> None:
    repository = git_server.create("chart/elsewhere-too", {"Dockerfile": little_dockerfile(0)})
    told = release.launch("alice", {"repo": repository.url})
    assert told[-1].get("ready"), (told[-3:], release.log())
    [server] = found("pods", release.namespace, "--selector=component=singleuser-server")
    assert server["spec"]["containers"][0]["image"].startswith(f"{private.host}/people/binder-")
    assert server["spec"]["securityContext"]["runAsNonRoot"]
    assert server["spec"]["imagePullSecrets"] == [{"name": "binder-registry"}]
    pods = "".join(kubectl("get", "pods,configmaps,events", f"--namespace={name}", "--output=json") for name in (release.namespace, builds))
    for password in (LOGIN[1], DATABASE_PASSWORD):
        assert password not in f"{pods}{told}{release.log()}"
    release.stop_server("alice")


def test_the_namespace_of_builds_and_all_that_is_in_the_releases_go_with_it(release: Release, builds: str) -> None:
    release.uninstall()
    gone = ("get", "namespace", builds, "--ignore-not-found")
    wait_for(lambda: not release.left() and not kubectl(*gone), "an empty namespace, and another that is gone", 60, every_seconds=0.5)
