"""The chart on a real cluster: the hub in a pod, its service, builds, servers; upgraded, killed, removed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.harness.git_server import GitServer
from tests.harness.kernel import run_code
from tests.harness.waiting import wait_for
from tests.kubernetes.chart.helm import REASON
from tests.kubernetes.chart.release import BEFORE, WAITS, Release, little_dockerfile, named
from tests.kubernetes.images import singleuser_image
from tests.kubernetes.kubectl import found

pytestmark = [pytest.mark.skipif(bool(REASON), reason=REASON), pytest.mark.slow]


@pytest.fixture(scope="module")
def release(chart: Path, place: str, storage_class: str) -> Iterator[Release]:
    """The release as the version before installed it."""
    about = chart / "Chart.yaml"
    content = about.read_text()
    about.write_text(yaml.safe_dump({**yaml.safe_load(content), "version": "0.0.1"}))
    in_hub = yaml.safe_load((chart / "examples" / "in-hub.yaml").read_text())
    lists = {name: in_hub["jupyterhub"]["hub"][name] for name in ("extraVolumes", "extraVolumeMounts")}
    singleuser = {"image": named(singleuser_image()), "storage": {"homeMountPath": "/home/jovyan"}}
    values = {
        "service": in_hub["service"],
        "servers": {"ordinary": True},
        "jupyterhub": {"hub": lists, "singleuser": singleuser},
        "config": {"Limits": {"running": 2}},
    }
    release = Release(chart, place, storage_class, values)
    with release:
        about.write_text(content)
        yield release


@pytest.fixture(scope="module")
def alice(release: Release) -> str:
    return release.token("alice")


def test_the_service_in_the_hubs_pod_answers_through_the_proxy(release: Release) -> None:
    health = release.service("GET", "/health").json()
    assert health["ok"], health
    assert release.service("GET", "/versions").json()["builder_info"]["mode"] == "kubernetes"
    assert {pod["metadata"]["labels"]["component"] for pod in found("pods", release.namespace)} == {"hub", "proxy"}


def test_a_repository_becomes_a_server_in_which_a_cell_runs(release: Release, alice: str, git_server: GitServer) -> None:
    dockerfile = f"FROM {singleuser_image()}\nCOPY --chown=jovyan . /home/jovyan/\n"
    repository = git_server.create("chart/cell", {"Dockerfile": dockerfile, "data.txt": "forty-two\n"})
    told = release.launch("alice", {"repo": repository.url})
    assert told[-1].get("ready"), (told[-3:], release.log())
    assert run_code(f"{release.url}/user/alice", alice, "print(open('data.txt').read(), end='')") == "forty-two\n"
    [server] = found("pods", release.namespace, "--selector=component=singleuser-server")
    assert server["spec"]["containers"][0]["image"].startswith(f"{release.values['registry']['prefix']}/binder-")
    assert "runAsUser" not in server["spec"]["containers"][0]["securityContext"], "as the image's own user"
    release.stop_server("alice")


def test_a_server_without_a_repository_is_of_the_image_that_values_name(release: Release) -> None:
    told = release.launch("bob", {})
    assert told[-1].get("ready"), (told[-3:], release.log())
    [server] = found("pods", release.namespace, "--selector=component=singleuser-server")
    assert server["spec"]["containers"][0]["image"] == singleuser_image()
    release.stop_server("bob")


def test_a_build_goes_on_when_the_hubs_pod_is_killed(release: Release, alice: str, git_server: GitServer) -> None:
    repository = git_server.create("chart/killed", {"Dockerfile": little_dockerfile(20)})
    build = release.build(repository.url, alice)
    before = release.read_to(build["id"], alice, BEFORE)
    release.kill()
    release.wait_until_up()
    event_log = release.read_on(build["id"], alice, before)
    assert event_log[-1].data["state"] == "ready", event_log[-3:]
    assert [event.data.get("text") for event in event_log].count(BEFORE) == 1
    assert release.follow(build["id"], alice) == event_log


def test_builds_outlive_an_upgrade_and_the_hub_takes_changed_values(release: Release, alice: str) -> None:
    def known() -> list[str]:
        return [build["id"] for build in release.service("GET", "/api/builds", alice).json()]

    builds, secret, starts = known(), token_of(release), release.starts("hub")
    assert builds
    release.helm("upgrade", *WAITS, config={"Limits": {"running": 3}})
    assert release.starts("hub")[0] not in {starts[0], ""}
    release.wait_until_up()
    assert known() == builds
    assert token_of(release) == secret


def token_of(release: Release) -> str:
    [secret] = [one for one in found("secrets", release.namespace) if one["metadata"]["name"] == "binder-config"]
    token: str = secret["data"]["service-token"]
    return token


def test_nothing_is_left_of_a_release_that_is_removed_in_the_middle_of_a_build(release: Release, alice: str, git_server: GitServer) -> None:
    repository = git_server.create("chart/removed", {"Dockerfile": little_dockerfile(120)})
    build = release.build(repository.url, alice)
    release.read_to(build["id"], alice, BEFORE)
    assert f"Secret/build-{build['id']}" in release.left()
    release.uninstall()
    wait_for(lambda: not release.left(), "an empty namespace", 60, every_seconds=0.5)
