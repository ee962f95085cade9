"""The rights that the service needs, exactly."""

from __future__ import annotations

from pathlib import Path

import pytest

from binderhub_service.errors import Unavailable
from tests.harness.following import followed, up_to
from tests.kubernetes.builds.pod_builds import Outside, PodBuilds
from tests.kubernetes.kubectl import kubectl, until_found

RULES = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "get", "list", "watch", "delete"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
]


def kubeconfig_with(rules: list[dict[str, list[str]]], namespace: str, folder: Path) -> str:
    """Return a kubeconfig file of a service account that has these rights in a namespace and no others."""
    name = "binder-builder"
    metadata = {"name": name, "namespace": namespace}
    group = "rbac.authorization.k8s.io"
    objects = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": metadata, "rules": rules},
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        },
    ]
    kubectl("apply", "--filename=-", content={"apiVersion": "v1", "kind": "List", "items": objects})
    file = folder / "kubeconfig"
    file.write_text(kubectl("config", "view", "--raw", "--minify", "--flatten"))
    token = kubectl("create", "token", name, f"--namespace={namespace}")
    kubectl("config", f"--kubeconfig={file}", "set-credentials", name, f"--token={token}")
    kubectl("config", f"--kubeconfig={file}", "set-context", "--current", f"--user={name}")
    return str(file)


async def test_the_service_works_with_these_rights(namespace: str, stand_in: str, outside: Outside, tmp_path: Path) -> None:
    pod_builds = PodBuilds(namespace, stand_in, outside, kubeconfig_with(RULES, namespace, tmp_path))
    build, cancelled = pod_builds.ask(lines=["one"]), pod_builds.ask(lines=["here"], seconds=60)
    builder = pod_builds.builder()
    await builder.check()
    await builder.forget_all_but(set())
    _, error = await followed(builder, build)
    assert error is None
    await builder.forget(build)
    await up_to(builder, cancelled, "here")
    await builder.stop(cancelled)
    assert pod_builds.pods() == []
    await pod_builds.close()


def takes_privileged_pods(namespace: str) -> bool:
    """Say whether the cluster, which hears of changes a moment later, would admit such a pod now."""
    return bool(kubectl("run", "probe", "--image=none", "--privileged", "--dry-run=server", f"--namespace={namespace}", check=False))


async def test_what_admission_refuses_is_said_by_name_before_and_when_something_is_built(namespace: str, stand_in: str, outside: Outside) -> None:
    pod_builds = PodBuilds(namespace, stand_in, outside)
    builder = pod_builds.builder()
    label = ("label", "namespace", namespace, "--overwrite")
    kubectl(*label, "pod-security.kubernetes.io/enforce=baseline")
    until_found(lambda: not takes_privileged_pods(namespace), "the level baseline")
    with pytest.raises(Unavailable, match='violates PodSecurity "baseline:latest": seccompProfile'):
        await builder.check()
    _, error = await followed(builder, pod_builds.ask())
    assert error
    assert error.code == "pod_not_admitted"
    kubectl(*label, "pod-security.kubernetes.io/enforce=privileged")
    until_found(lambda: takes_privileged_pods(namespace), "the level privileged")
    await builder.check()
    kubectl("create", "quota", "none", "--hard=pods=0", f"--namespace={namespace}")
    until_found(lambda: kubectl("get", "quota", "none", f"--namespace={namespace}", "--output=jsonpath={.status.hard.pods}") == "0", "the quota")
    until_found(lambda: not takes_privileged_pods(namespace), "the quota's effect")
    await builder.check()
    _, error = await followed(builder, pod_builds.ask())
    assert error
    assert error.code == "cluster_quota_exceeded"
    assert pod_builds.pods() == []
    await pod_builds.close()


async def test_missing_rights_are_said_before_anything_is_built(namespace: str, stand_in: str, outside: Outside, tmp_path: Path) -> None:
    pod_builds = PodBuilds(namespace, stand_in, outside, kubeconfig_with(RULES[1:], namespace, tmp_path))
    with pytest.raises(Unavailable) as caught:
        await pod_builds.builder().check()
    assert caught.value.code == "cluster_refused"
    _, error = await followed(pod_builds.builder(), pod_builds.ask())
    assert error
    assert error.code == "cluster_refused"
    await pod_builds.close()
