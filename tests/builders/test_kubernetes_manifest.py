"""A build as Kubernetes is told about it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from binderhub_service.builders.kubernetes import KubernetesSettings
from binderhub_service.builders.kubernetes.manifest import build_of, job_text, pod_manifest, pod_name, secret_manifest, selector
from binderhub_service.clients.credentials import Credentials, Login
from binderhub_service.models import Build, Image
from binderhub_service.worker.job import Job, ProcessLimits
from binderhub_service.worker.pod_job import PodSettings
from tests.harness.records import build as a_build

SETTINGS = KubernetesSettings(builder_image="builder:1")
POD_SETTINGS = PodSettings(image_prefix="registry.example.org/binder-")
HOSTILE = ["$(HOME)", "$$(HOME)", "{{ x }}", "--upload-pack=x", "a\nb", "\u2028", '"}', "x" * 100_000]


def made(build: Build | None = None, **settings: Any) -> dict[str, Any]:
    return pod_manifest(build or a_build(), replace(SETTINGS, **settings))


def containers(pod: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in pod["spec"]["initContainers"] + pod["spec"]["containers"]}


def secret(build: Build, logins: tuple[Login, ...] = (), **settings: Any) -> dict[str, Any]:
    job = job_text(build, POD_SETTINGS, ProcessLimits(log_bytes=5))
    return secret_manifest(build, replace(SETTINGS, **settings), job, logins, "uid-1")


def test_the_steps_run_one_after_the_other_in_one_image() -> None:
    pod = made()
    assert [one["name"] for one in pod["spec"]["initContainers"]] == ["fetch", "build", "push"]
    assert [one["name"] for one in pod["spec"]["containers"]] == ["try"]
    for name, container in containers(pod).items():
        assert container["image"] == "builder:1"
        assert container["command"] == ["python3", "-m", "binderhub_service.worker.pod", name]
        assert "args" not in container
    assert pod["spec"]["restartPolicy"] == "Never"


def test_pods_are_found_by_their_labels() -> None:
    build = a_build()
    pod = made(build, instance="one", labels={"team": "x", "component": "other"})
    assert pod["metadata"]["name"] == pod_name(build.id) == f"build-{build.id}"
    assert pod["metadata"]["labels"] == {"team": "x", "component": "binderhub-build", "binder.instance": "one", "binder.build": build.id}
    assert build_of(pod) == build.id
    assert selector(replace(SETTINGS, instance="one")) == "component=binderhub-build,binder.instance=one,binder.build"


@pytest.mark.parametrize("instance", ["", "a b", "-a", "a,component=x", "x" * 64])
def test_an_instance_that_is_no_label_is_refused(instance: str) -> None:
    with pytest.raises(ValueError, match="instance"):
        KubernetesSettings(builder_image="builder:1", instance=instance)


def test_only_the_steps_that_need_a_secret_see_it() -> None:
    pod = made()
    seen = {name: {one["name"]: one["mountPath"] for one in container["volumeMounts"]} for name, container in containers(pod).items()}
    assert seen == {
        "fetch": {"work": "/work", "job": "/job", "registry": "/registry", "git": "/git", "bases": "/bases"},
        "build": {"work": "/work", "image": "/image", "job": "/job", "storage": "/var/lib/containers"},
        "push": {"work": "/work", "image": "/image", "job": "/job", "registry": "/registry"},
        "try": {"work": "/work", "image": "/image", "job": "/job", "storage": "/var/lib/containers"},
    }
    items = {one["name"]: [item["key"] for item in one["secret"]["items"]] for one in pod["spec"]["volumes"] if "secret" in one}
    assert items == {"job": ["job.json"], "registry": ["logins.json"], "git": ["git-credentials"], "bases": ["base-logins.json"]}


def test_a_step_can_change_only_what_it_makes() -> None:
    """What a repository says is run in one of them, and must not reach what the next one is told to do."""
    writable = {name: [one["name"] for one in container["volumeMounts"] if not one["readOnly"]] for name, container in containers(made()).items()}
    assert writable == {"fetch": ["work"], "build": ["image", "storage"], "push": [], "try": ["image", "storage"]}


def test_no_step_has_rights_in_the_cluster_or_more_on_its_node_than_it_needs() -> None:
    spec = made()["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC", "serviceAccountName"} & spec.keys()
    for name, container in containers(made()).items():
        rights = container["securityContext"]
        assert rights["allowPrivilegeEscalation"] is False
        assert rights["capabilities"]["drop"] == ["ALL"]
        assert "privileged" not in rights
        runs_strangers_code = name in {"build", "try"}
        assert rights["runAsUser"] == (0 if runs_strangers_code else 1000)
        assert ("add" in rights["capabilities"]) == runs_strangers_code
    assert containers(made())["build"]["securityContext"]["capabilities"]["add"] == ["SETFCAP", "SETGID", "SETUID"]


def test_the_operator_may_give_the_build_step_other_rights() -> None:
    pod = made(seccomp_profile={"type": "Localhost", "localhostProfile": "x"}, security_context={"privileged": True})
    for name in ("build", "try"):
        rights = containers(pod)[name]["securityContext"]
        assert rights["seccompProfile"] == {"type": "Localhost", "localhostProfile": "x"}
        assert rights["privileged"] is True
    assert all("privileged" not in containers(pod)[name]["securityContext"] for name in ("fetch", "push"))


@pytest.mark.parametrize(
    ("settings", "where", "expected"),
    [
        ({"node_selector": {"disk": "fast"}}, "nodeSelector", {"disk": "fast"}),
        ({"tolerations": [{"key": "builds"}]}, "tolerations", [{"key": "builds"}]),
        ({"affinity": {"nodeAffinity": {}}}, "affinity", {"nodeAffinity": {}}),
        ({"priority_class": "low"}, "priorityClassName", "low"),
        ({"image_pull_secrets": ["one", "two"]}, "imagePullSecrets", [{"name": "one"}, {"name": "two"}]),
        ({"deadline_seconds": 600}, "activeDeadlineSeconds", 600),
    ],
)
def test_what_the_operator_asks_for_is_in_the_pod_and_else_is_left_out(settings: dict[str, Any], where: str, expected: Any) -> None:
    assert made(**settings)["spec"][where] == expected
    assert where not in made()["spec"]


def test_every_step_has_the_operators_limits() -> None:
    storage = {"ephemeral_storage_request_bytes": 3, "ephemeral_storage_limit_bytes": 5}
    more = {"extra_requests": {"hugepages-2Mi": "4Mi"}, "extra_limits": {"nvidia.com/gpu": "1"}}
    pod = made(memory_request_bytes=1, memory_limit_bytes=2, cpu_request=0.25, cpu_limit=2, **storage, **more)
    for container in containers(pod).values():
        assert container["resources"] == {
            "requests": {"memory": "1", "cpu": "0.25", "ephemeral-storage": "3", "hugepages-2Mi": "4Mi"},
            "limits": {"memory": "2", "cpu": "2", "ephemeral-storage": "5", "nvidia.com/gpu": "1"},
        }
    assert [one["emptyDir"] for one in pod["spec"]["volumes"] if "emptyDir" in one] == [{"sizeLimit": "5"}] * 3
    assert all(container["resources"] == {"requests": {}, "limits": {}} for container in containers(made()).values())


def test_the_operator_says_where_a_pod_runs_and_what_else_it_is_but_not_what_runs_in_it() -> None:
    spread = [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}]
    extra = {"dnsPolicy": "Default", "schedulerName": "other", "containers": [], "volumes": []}
    spec = made(scheduler="packing", runtime_class="gvisor", topology_spread=spread, extra_pod_spec=extra)["spec"]
    assert (spec["runtimeClassName"], spec["topologySpreadConstraints"], spec["dnsPolicy"]) == ("gvisor", spread, "Default")
    assert spec["schedulerName"] == "other", "the extra specification wins"
    assert spec["containers"]
    assert spec["volumes"]


@pytest.mark.parametrize(
    ("bundle", "source"),
    [
        ({"configMap": "ours"}, {"configMap": {"name": "ours", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}),
        ({"secret": "ours", "key": "all.pem"}, {"secret": {"secretName": "ours", "items": [{"key": "all.pem", "path": "ca.crt"}]}}),
    ],
)
def test_a_bundle_of_certificates_is_believed_in_all_steps(bundle: dict[str, str], source: dict[str, Any]) -> None:
    pod = made(ca_bundle=bundle)
    assert {"name": "ca", **source} in pod["spec"]["volumes"]
    for container in containers(pod).values():
        assert {"name": "ca", "mountPath": "/etc/binder-ca", "readOnly": True} in container["volumeMounts"]
        assert {entry["name"] for entry in container["env"]} >= {"SSL_CERT_FILE", "GIT_SSL_CAINFO", "REQUESTS_CA_BUNDLE"}


def test_volumes_of_the_operator_are_for_the_steps_that_run_what_a_repository_says() -> None:
    pod = made(
        extra_volumes=[{"name": "pip", "hostPath": {"path": "/pip"}}],
        extra_volume_mounts=[{"name": "pip", "mountPath": "/pip"}],
        cache_volume={"persistentVolumeClaim": {"claimName": "cache"}},
    )
    assert {"name": "storage", "persistentVolumeClaim": {"claimName": "cache"}} in pod["spec"]["volumes"]
    assert {"name": "pip", "hostPath": {"path": "/pip"}} in pod["spec"]["volumes"]
    assert [name for name, one in containers(pod).items() if {"name": "pip", "mountPath": "/pip"} in one["volumeMounts"]] == ["build", "try"]


def test_variables_reach_the_steps_as_the_operator_wrote_them() -> None:
    """Kubernetes makes one dollar of two, and of one with a name in brackets what that stands for."""
    pod = made(environment={"HTTPS_PROXY": "http://me:a$(HOME)$$b@proxy"})
    for container in containers(pod).values():
        (variable,) = container["env"]
        assert variable["value"].replace("$$", "$") == "http://me:a$(HOME)$$b@proxy"


def test_the_pull_policy_is_kubernetes_own_unless_it_is_set() -> None:
    assert all("imagePullPolicy" not in one for one in containers(made()).values())
    assert all(one["imagePullPolicy"] == "Always" for one in containers(made(image_pull_policy="Always")).values())


def test_annotations_say_what_is_built_and_the_autoscaler_keeps_off() -> None:
    build = a_build()
    annotations = made(build, annotations={"team": "x", "binder.commit": "other"})["metadata"]["annotations"]
    assert annotations == {
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
        "team": "x",
        "binder.repository": build.source.repo,
        "binder.commit": build.source.commit,
        "binder.image": build.image.name,
    }


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text)[:20])
def test_what_somebody_typed_is_nowhere_where_kubernetes_interprets_it(text: str) -> None:
    plain = a_build()
    build = replace(plain, source=replace(plain.source, repo=text, url=text, ref=text, slug=text), image=Image(text))
    assert made(build)["spec"] == made(plain)["spec"]
    assert made(build)["metadata"]["labels"] == made(plain)["metadata"]["labels"]
    assert sum(len(value) for value in made(build)["metadata"]["annotations"].values()) < 10_000
    told = Job(**json.loads(secret(build)["stringData"]["job.json"]))
    assert (told.url, told.repo, told.ref, told.image) == (text, text, text, text)


def test_a_login_in_an_address_is_not_shown_in_annotations() -> None:
    plain = a_build()
    build = replace(plain, source=replace(plain.source, repo="https://me:hidden@git.example.org/o/r"))
    assert "hidden" not in json.dumps(made(build))


def test_the_secret_belongs_to_the_pod() -> None:
    build = a_build()
    metadata = secret(build)["metadata"]
    assert metadata["name"] == pod_name(build.id)
    assert metadata["ownerReferences"] == [{"apiVersion": "v1", "kind": "Pod", "name": pod_name(build.id), "uid": "uid-1"}]


def test_the_secret_holds_the_job_and_the_logins_as_they_are_read(tmp_path: Path) -> None:
    build = a_build(force=True)
    login = Login("registry.example.org", "me", "password")
    content = secret(build, (login,), git_credentials="https://me:token@git.example.org\n")["stringData"]
    job = Job(**json.loads(content["job.json"]))
    assert (job.build_id, job.commit, job.root, job.recipe, job.force) == (build.id, build.source.commit, "/work", "", True)
    assert PodSettings(**job.settings) == POD_SETTINGS
    assert job.limits.pop("unpacking").keys() == {"bytes", "files"}
    assert job.limits == {"log_bytes": 5, "content_bytes": 0, "free_bytes": 0, "addresses": {"public_only": False, "exceptions": []}}
    (tmp_path / "logins.json").write_text(content["logins.json"])
    assert Credentials.read(tmp_path / "logins.json", None).given == [login]
    assert content["git-credentials"] == "https://me:token@git.example.org\n"
    assert json.loads(secret(build)["stringData"]["logins.json"]) == []


def test_settings_do_not_show_the_git_credentials() -> None:
    assert "token" not in repr(replace(SETTINGS, git_credentials="https://me:token@git.example.org"))
