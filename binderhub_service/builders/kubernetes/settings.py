"""What shapes build pods."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_LABEL_VALUE = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?")


@dataclass(frozen=True, kw_only=True)
class KubernetesSettings:
    """What the operator says about build pods; dictionaries and lists are as in a pod's manifest.

    Attributes:
        builder_image: the image that all steps run in.
        owner: a ConfigMap beside the pods that owns them: when it is deleted, Kubernetes deletes them; empty for none.
        instance: tells the pods of several services in one namespace apart; a label's value.
        image_pull_policy: of the builder image; empty for Kubernetes' own default.
        image_pull_secrets: names of secrets that the builder image is pulled with.
        labels: more labels; those that pods are found by cannot be replaced.
        extra_volumes: more volumes of the pod.
        extra_volume_mounts: where `build` and `try` find them; these run what repositories say, so what is mounted here is everybody's.
        cache_volume: the source of a volume for buildah's storage, e.g. ``{"persistentVolumeClaim": {"claimName": "cache"}}``; empty for one
            that goes with the pod.
        environment: variables of all steps, e.g. proxies, taken literally; everybody who builds can read them.
        memory_request_bytes: of each step; 0 to ask for none. The same holds for the others.
        ephemeral_storage_limit_bytes: how much disk a pod may use; 0 for any amount.
        extra_requests: amounts of anything else that nodes have, as Kubernetes writes them, e.g. ``{"hugepages-2Mi": "4Mi"}``.
        extra_limits: the same as limits, e.g. ``{"nvidia.com/gpu": "1"}``.
        topology_spread: how pods are spread over nodes.
        extra_pod_spec: more of the pod's specification; never its containers and volumes.
        ca_bundle: a ConfigMap (``configMap``) or a Secret (``secret``) beside the pods, and its entry (``key``) with the certificates that all
            steps believe; empty for the image's own.
        deadline_seconds: after how long Kubernetes ends a pod; 0 for never.
        seccomp_profile: of the step `build`, which makes a user namespace; the container runtime's own profile forbids that.
        security_context: replaces entries of the step `build`'s security context.
        unschedulable_seconds: how long a pod may wait for a node.
        image_pull_seconds: how long a pod may take to start on its node, pulling the builder image included.
        pull_ahead_to: finds pods beside those of builds, of which one is on each node that has to pull an image when it is made; empty for no node.
        pull_ahead_secrets: names of secrets that images are pulled ahead with.
        pull_ahead_seconds: how long a node may take for that.
        git_credentials: logins of Git servers, as Git's credential store keeps them (one address a line); its `repr` tells none.
        base_logins: logins for base images, as `logins_text` writes them; its `repr` tells none.
    """

    builder_image: str
    instance: str = "binder"
    owner: str = ""
    image_pull_policy: str = ""
    image_pull_secrets: Sequence[str] = ()
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: Sequence[Mapping[str, Any]] = ()
    affinity: Mapping[str, Any] = field(default_factory=dict)
    priority_class: str = ""
    scheduler: str = ""
    runtime_class: str = ""
    topology_spread: Sequence[Mapping[str, Any]] = ()
    extra_pod_spec: Mapping[str, Any] = field(default_factory=dict)
    ca_bundle: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    extra_volumes: Sequence[Mapping[str, Any]] = ()
    extra_volume_mounts: Sequence[Mapping[str, Any]] = ()
    cache_volume: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    memory_request_bytes: int = 0
    memory_limit_bytes: int = 0
    cpu_request: float = 0.0
    cpu_limit: float = 0.0
    ephemeral_storage_request_bytes: int = 0
    ephemeral_storage_limit_bytes: int = 0
    extra_requests: Mapping[str, str] = field(default_factory=dict)
    extra_limits: Mapping[str, str] = field(default_factory=dict)
    deadline_seconds: int = 0
    seccomp_profile: Mapping[str, Any] = field(default_factory=lambda: {"type": "Unconfined"})
    security_context: Mapping[str, Any] = field(default_factory=dict)
    unschedulable_seconds: float = 300.0
    image_pull_seconds: float = 300.0
    pull_ahead_to: str = ""
    pull_ahead_secrets: Sequence[str] = ()
    pull_ahead_seconds: float = 600.0
    git_credentials: str = field(default="", repr=False)
    base_logins: str = field(default="[]", repr=False)

    def __post_init__(self) -> None:
        """Raise `ValueError` if `instance` cannot be a label's value."""
        if not _LABEL_VALUE.fullmatch(self.instance):
            raise ValueError(f"instance must be up to 63 letters, digits, dots, dashes or underscores, not {self.instance!r}")
