"""A build as Kubernetes is told about it: a pod, and a secret that goes with it; pure.

What people typed is in the secret and in annotations only. Kubernetes puts variables into commands, arguments and
environment values (``$(HOME)``), and takes no free text in names and labels.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from ...clients.credentials import Login, logins_text
from ...common.redact import redact
from ...models import Build, Image, Phase, Source, State
from ...worker.job import Job, ProcessLimits
from ...worker.pod_job import (
    BASE_LOGINS,
    GIT_CREDENTIALS,
    IMAGE,
    JOB,
    LOGINS,
    MODULE,
    STEPS,
    STORAGE,
    TERMINATION_MESSAGE,
    USER_ID,
    WORK,
    PodSettings,
)
from .settings import KubernetesSettings

COMPONENT = "binderhub-build"
_STOP_SECONDS = 5
_MAX_ANNOTATION = 2000
_READABLE = 0o444  # the steps are different users; what may see a file is decided by where it is mounted
# What buildah needs to map all users into a namespace of its own; inside of that it has all rights over what belongs to the container.
_BUILD_CAPABILITIES = ("SETFCAP", "SETGID", "SETUID")
_SECRETS = {"job": JOB, "registry": LOGINS, "git": GIT_CREDENTIALS, "bases": BASE_LOGINS}
_MOUNTS = {
    "fetch": {"work": WORK, "job": JOB.parent, "registry": LOGINS.parent, "git": GIT_CREDENTIALS.parent, "bases": BASE_LOGINS.parent},
    "build": {"work": WORK, "image": IMAGE, "job": JOB.parent, "storage": STORAGE},
    "push": {"work": WORK, "image": IMAGE, "job": JOB.parent, "registry": LOGINS.parent},
    "try": {"work": WORK, "image": IMAGE, "job": JOB.parent, "storage": STORAGE},
}
_OF_STRANGERS = {"build", "try"}
"""The steps that run what a repository says."""
_CA_FOLDER = "/etc/binder-ca"
_CA_FILE = f"{_CA_FOLDER}/ca.crt"
# What Python, Go (buildah), git and requests read the certificates from.
_CA_VARIABLES = ("CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
_OUR_PARTS = ("containers", "initContainers", "volumes")
# Code that breaks out of `build` changes no plan; what `try` writes is read by nobody.
_WRITABLE = {("fetch", "work"), *((step, place) for step in _OF_STRANGERS for place in ("image", "storage"))}


def pod_name(build_id: str) -> str:
    """Return the name of a build's pod, and of the secret that goes with it."""
    return f"build-{build_id}"


def build_of(pod: Mapping[str, Any]) -> str:
    """Return the id of the build that a pod belongs to."""
    return str(pod["metadata"]["labels"]["binder.build"])


def selector(settings: KubernetesSettings) -> str:
    """Return what finds all build pods of this service."""
    return f"component={COMPONENT},binder.instance={settings.instance},binder.build"


def pod_manifest(build: Build, settings: KubernetesSettings, owner_uid: str = "") -> dict[str, Any]:
    """Return the pod that makes a build's image; `owner_uid` is of the ConfigMap `settings.owner`, if that is to own it."""
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": settings.owner, "uid": owner_uid}
    *before, last = (_container(step, settings) for step in STEPS)
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": _STOP_SECONDS,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "initContainers": before,
        "containers": [last],
        "volumes": _volumes(build, settings),
    }
    wanted = {
        "activeDeadlineSeconds": settings.deadline_seconds,
        "nodeSelector": dict(settings.node_selector),
        "tolerations": list(settings.tolerations),
        "affinity": dict(settings.affinity),
        "topologySpreadConstraints": list(settings.topology_spread),
        "priorityClassName": settings.priority_class,
        "schedulerName": settings.scheduler,
        "runtimeClassName": settings.runtime_class,
        "imagePullSecrets": [{"name": name} for name in settings.image_pull_secrets],
    }
    metadata: dict[str, Any] = {"name": pod_name(build.id), "labels": _labels(build, settings), "annotations": _annotations(build, settings)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata | ({"ownerReferences": [owner]} if owner_uid else {}),
        "spec": spec | {name: value for name, value in wanted.items() if value} | _extra(settings),
    }


def trial_manifest(settings: KubernetesSettings) -> dict[str, Any]:
    """Return a pod like those that make images, for asking the cluster whether it would admit them."""
    nothing = Source("git", "", "", "", "", "")
    return pod_manifest(Build("trial", nothing, Image(""), State.RUNNING, Phase.FETCHING, "", datetime.fromtimestamp(0, UTC)), settings)


def _extra(settings: KubernetesSettings) -> dict[str, Any]:
    return {name: value for name, value in settings.extra_pod_spec.items() if name not in _OUR_PARTS}


def secret_manifest(build: Build, settings: KubernetesSettings, job: str, logins: Sequence[Login], pod_uid: str) -> dict[str, Any]:
    """Return the secret that holds the job and the logins; Kubernetes removes it when the pod is gone."""
    owner = {"apiVersion": "v1", "kind": "Pod", "name": pod_name(build.id), "uid": pod_uid}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": pod_name(build.id), "labels": _labels(build, settings), "ownerReferences": [owner]},
        "type": "Opaque",
        "stringData": {
            JOB.name: job,
            LOGINS.name: logins_text(logins),
            GIT_CREDENTIALS.name: settings.git_credentials,
            BASE_LOGINS.name: settings.base_logins,
        },
    }


def job_text(build: Build, pod_settings: PodSettings, limits: ProcessLimits) -> str:
    """Return what the steps are to do, as they read it."""
    return json.dumps(asdict(Job.of(build, WORK, "", pod_settings, limits)))


def _labels(build: Build, settings: KubernetesSettings) -> dict[str, str]:
    return {**settings.labels, "component": COMPONENT, "binder.instance": settings.instance, "binder.build": build.id}


def _annotations(build: Build, settings: KubernetesSettings) -> dict[str, str]:
    told = {"binder.repository": redact(build.source.repo), "binder.commit": build.source.commit, "binder.image": build.image.name}
    told = {name: text[:_MAX_ANNOTATION] for name, text in told.items()}
    return {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false", **settings.annotations, **told}


def _container(step: str, settings: KubernetesSettings) -> dict[str, Any]:
    mounts = [{"name": name, "mountPath": str(path), "readOnly": (step, name) not in _WRITABLE} for name, path in _MOUNTS[step].items()]
    container: dict[str, Any] = {
        "name": step,
        "image": settings.builder_image,
        "command": ["python3", "-m", MODULE, step],
        "env": [{"name": name, "value": value.replace("$", "$$")} for name, value in sorted(_environment(settings).items())],
        "resources": _resources(settings),
        "volumeMounts": [*mounts, *_ca_mounts(settings), *(settings.extra_volume_mounts if step in _OF_STRANGERS else ())],
        "securityContext": _build_rights(settings) if step in _OF_STRANGERS else least_rights(USER_ID),
        "terminationMessagePath": str(TERMINATION_MESSAGE),
    }
    if settings.image_pull_policy:
        container["imagePullPolicy"] = settings.image_pull_policy
    return container


def _environment(settings: KubernetesSettings) -> dict[str, str]:
    certificates = dict.fromkeys(_CA_VARIABLES, _CA_FILE) if settings.ca_bundle else {}
    return {**certificates, **settings.environment}


def _ca_mounts(settings: KubernetesSettings) -> list[dict[str, Any]]:
    return [{"name": "ca", "mountPath": _CA_FOLDER, "readOnly": True}] if settings.ca_bundle else []


def _ca_volumes(settings: KubernetesSettings) -> list[dict[str, Any]]:
    bundle = settings.ca_bundle
    if not bundle:
        return []
    items = [{"key": bundle.get("key", "ca.crt"), "path": "ca.crt"}]
    source = (
        {"secret": {"secretName": bundle["secret"], "items": items}}
        if "secret" in bundle
        else {"configMap": {"name": bundle["configMap"], "items": items}}
    )
    return [{"name": "ca", **source}]


def least_rights(user_id: int) -> dict[str, Any]:
    """Return the security context of a container that needs no right at all, with a user of no name."""
    return {
        "runAsUser": user_id,
        "runAsGroup": user_id,
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }


def _build_rights(settings: KubernetesSettings) -> dict[str, Any]:
    return {
        "runAsUser": 0,
        "runAsGroup": 0,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"], "add": list(_BUILD_CAPABILITIES)},
        "seccompProfile": dict(settings.seccomp_profile),
        **settings.security_context,
    }


def _resources(settings: KubernetesSettings) -> dict[str, dict[str, str]]:
    requests = {
        "memory": settings.memory_request_bytes,
        "cpu": settings.cpu_request,
        "ephemeral-storage": settings.ephemeral_storage_request_bytes,
    }
    limits = {"memory": settings.memory_limit_bytes, "cpu": settings.cpu_limit, "ephemeral-storage": settings.ephemeral_storage_limit_bytes}
    return {
        "requests": {**_amounts(requests), **settings.extra_requests},
        "limits": {**_amounts(limits), **settings.extra_limits},
    }


def _amounts(amounts: Mapping[str, float]) -> dict[str, str]:
    return {name: f"{amount:g}" if name == "cpu" else str(amount) for name, amount in amounts.items() if amount}


def _volumes(build: Build, settings: KubernetesSettings) -> list[dict[str, Any]]:
    """Return the volumes: each step is shown one file of the secret at a time."""
    limit = {"sizeLimit": str(settings.ephemeral_storage_limit_bytes)} if settings.ephemeral_storage_limit_bytes else {}
    secrets = [
        {
            "name": name,
            "secret": {"secretName": pod_name(build.id), "defaultMode": _READABLE, "items": [{"key": path.name, "path": path.name}]},
        }
        for name, path in _SECRETS.items()
    ]
    storage = {"name": "storage", **(settings.cache_volume or {"emptyDir": limit})}
    own = [{"name": name, "emptyDir": limit} for name in ("work", "image")]
    return [*secrets, *own, storage, *_ca_volumes(settings), *(dict(volume) for volume in settings.extra_volumes)]
