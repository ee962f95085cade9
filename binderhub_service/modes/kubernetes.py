"""Kubernetes mode: a pod for each build, images in a registry, servers as pods."""

from __future__ import annotations

import os
from pathlib import Path

from traitlets import Dict, Enum, Float, Integer, Unicode, default
from traitlets import List as ListTrait

from ..builders import Builder
from ..builders.kubernetes import Cluster, GivenFiles, KubernetesBuilder, KubernetesSettings, ServersOnCluster
from ..clients.contents import Contents
from ..clients.credentials import docker_config_directory, login_from, logins_text
from ..clients.registry import RegistryClient
from ..errors import Unavailable
from ..images import Images
from ..images.publishing import Publisher
from ..images.registry import RegistryImages
from ..settings import Limits
from ..worker.job import ProcessLimits
from ..worker.pod_job import GZIP, ZSTD, PodSettings
from .repo2docker import Repo2dockerMode

_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class KubernetesMode(Repo2dockerMode):
    """Makes container images in pods without privileges.

    Lists and dictionaries that say more about pods are as in a pod's manifest.
    """

    builder_image = Unicode(
        "",
        help="""The image that build pods run; ``chart/images/builder`` makes it. Needed. Example: ``ghcr.io/example/binder-builder:0.1.0``.""",
    ).tag(config=True)
    namespace = Unicode(
        help="""The namespace of build pods. Default: the service's own namespace, else ``default``. Example: ``builds``.""",
    ).tag(config=True)
    server_namespace = Unicode(
        help="""The namespace of the hub's servers, which is asked who runs one from an image before that is deleted.

        Default: the service's own namespace, else `namespace`. Example: ``hub``.
        """,
    ).tag(config=True)
    kubeconfig = Unicode(
        "",
        help="""The file that says how the cluster is reached.

        Default: the service account of the pod that this runs in; outside a cluster ``KUBECONFIG``, else ``~/.kube/config``.
        """,
    ).tag(config=True)
    instance = Unicode(
        "binder",
        help="""Tells the build pods of several services in one namespace apart: a label's value. Default: ``binder``.""",
    ).tag(config=True)
    owner = Unicode(
        "",
        help="""A ConfigMap in `namespace` that build pods belong to: Kubernetes deletes them with it. Default: none. Example: ``binder-builds``.""",
    ).tag(config=True)
    engine_host = Unicode(
        "",
        help="""A Docker engine that builds instead of the pods, which only tell it what to do.

        Access to that engine is root on its machine, so let only build pods reach it. Default: none. Example: ``tcp://engine:2375``.
        """,
    ).tag(config=True)
    registry_endpoint = Unicode(
        "",
        help="""The address at which this service and build pods ask `registry`, where nodes know it by another.

        Images have the nodes' name. With `engine_host`, the engine must reach the nodes' name. Default: the name that images have.
        Example: ``http://registry.registry.svc:5000``, for images that nodes pull from ``127.0.0.1:30500``.
        """,
    ).tag(config=True)
    image_pull_policy = Enum(
        ["", "Always", "IfNotPresent", "Never"],
        default_value="",
        help="""When nodes pull `builder_image`. Default: as Kubernetes does, i.e. once, unless its tag is ``latest``.""",
    ).tag(config=True)
    image_pull_secrets = ListTrait(
        Unicode(),
        help="""The names of secrets that `builder_image` is pulled with. Default: none. Example: ``["registry-login"]``.""",
    ).tag(config=True)
    git_credentials = Unicode(
        "",
        help="""Logins of Git servers for private repositories, one address a line as Git's credential store keeps them.

        They reach the step that clones and no other step; everybody who may build can have what they open. Default: none.
        Example: ``https://reader:TOKEN@git.example.org``.
        """,
    ).tag(config=True)

    base_image_credentials = ListTrait(
        Dict(),
        help="""Logins of registries with private base images (``FROM``), each with ``registry``, ``username`` and ``password``.

        They reach the step that fetches and no other step; everybody who may build can have every image that they open. Only what a Dockerfile
        names in full is fetched with them, no name with a variable. Default: none.
        Example: ``[{"registry": "registry.example.org", "username": "reader", "password": "..."}]``.
        """,
    ).tag(config=True)

    # --- the pods ----------------------------------------------------------------------------------------------------

    node_selector = Dict(Unicode(), help="""Labels that a build's node must have. Default: none. Example: ``{"pool": "builds"}``.""").tag(config=True)
    tolerations = ListTrait(
        Dict(), help="""Taints of nodes that builds tolerate. Default: none. Example: ``[{"key": "builds", "operator": "Exists"}]``."""
    ).tag(config=True)
    affinity = Dict(
        help="""Which nodes, and the neighbourhood of which pods, builds seek. Default: none. Example: ``{"nodeAffinity": {...}}``."""
    ).tag(config=True)
    priority_class = Unicode("", help="""The priority class of build pods. Default: the cluster's own. Example: ``builds``.""").tag(config=True)
    scheduler = Unicode("", help="""The scheduler of build pods. Default: the cluster's own. Example: ``hub-user-scheduler``.""").tag(config=True)
    runtime_class = Unicode("", help="""The runtime class of build pods. Default: the nodes' own runtime. Example: ``gvisor``.""").tag(config=True)
    topology_spread = ListTrait(
        Dict(),
        help="""How build pods are spread over nodes. Default: as the cluster does. Example: ``[{"maxSkew": 1, "topologyKey": "zone", ...}]``.""",
    ).tag(config=True)
    extra_pod_spec = Dict(
        help="""More of a build pod's specification; it wins over what other settings come to, but containers and volumes stay.

        Default: none. Example: ``{"dnsPolicy": "Default"}``.
        """,
    ).tag(config=True)
    ca_bundle = Dict(
        Unicode(),
        help="""Where the certificates are that all steps of a build believe instead of the image's own.

        A ConfigMap (``configMap``) or Secret (``secret``) in `namespace`, and which entry of it (``key``, ``ca.crt``). The bundle has to be whole:
        what is not in it is not believed. What a Dockerfile runs does not see it. Default: none. Example: ``{"configMap": "company-ca"}``.
        """,
    ).tag(config=True)
    annotations = Dict(Unicode(), help="""More annotations of build pods. Default: none. Example: ``{"team": "data"}``.""").tag(config=True)
    labels = Dict(Unicode(), help="""More labels of build pods. Default: none. Example: ``{"team": "data"}``.""").tag(config=True)
    extra_volumes = ListTrait(Dict(), help="""More volumes of build pods. Default: none. Example: ``[{"name": "data", "emptyDir": {}}]``.""").tag(
        config=True
    )
    extra_volume_mounts = ListTrait(
        Dict(),
        help="""Where those are in the step that runs what repositories say, so that every repository has them.

        Default: none. Example: ``[{"name": "data", "mountPath": "/data", "readOnly": true}]``.
        """,
    ).tag(config=True)
    cache_volume = Dict(
        help="""The source of a volume in which builds keep their layers for each other.

        Each build can change what others build from it: for people who trust each other. Default: none, a disk that goes with
        the pod. Example: ``{"persistentVolumeClaim": {"claimName": "build-cache"}}``.
        """,
    ).tag(config=True)
    registry_mirrors = Dict(
        ListTrait(Unicode()),
        help="""Where base images are asked for before their own registry: by its host, hosts and paths of mirrors or pull-through caches.

        A mirror that speaks plain http is named in `plain_http_registries` as well. Default: none.
        Example: ``{"docker.io": ["mirror.example.org/docker-hub"]}``.
        """,
    ).tag(config=True)
    layer_compression = Enum(
        [GZIP, ZSTD],
        default_value=GZIP,
        help="""How the layers that a build makes are packed.

        ``zstd`` makes them smaller and quicker to pull, see docs/performance.md. The registry and whatever pulls images must know it: containerd from
        1.5 on, CRI-O, Docker from 23 on. What is built in an engine (`engine_host`) is packed as that engine does it. Default: ``gzip``.
        """,
    ).tag(config=True)
    storage_driver = Enum(
        ["vfs", "overlay"],
        default_value="overlay",
        help="""How builds keep layers.

        ``vfs`` works everywhere and keeps a whole copy for each layer: many times the space. Where a node does not allow ``overlay``, a build falls
        back to ``vfs``, and its log says so. Default: ``overlay``.
        """,
    ).tag(config=True)
    environment = Dict(
        Unicode(),
        help="""Variables of all steps, e.g. proxies; every repository can read them: no passwords.

        Default: none. Example: ``{"HTTPS_PROXY": "http://proxy:3128"}``.
        """,
    ).tag(config=True)
    memory_request_bytes = Integer(0, min=0, help="""How much memory is set aside for a build; 0 for none. In bytes. Default: 0.""").tag(config=True)
    memory_limit_bytes = Integer(
        0,
        min=0,
        help="""How much memory a build may use; 0 for any amount.

        A build that needs more fails with ``out_of_memory``. In bytes. Default: 0. Example: ``4 * 1024**3``.
        """,
    ).tag(config=True)
    cpu_request = Float(0, min=0, help="""How many processors are set aside for a build; 0 for none. Default: 0. Example: 0.5.""").tag(config=True)
    cpu_limit = Float(0, min=0, help="""How many processors a build may use; 0 for all of its node. Default: 0. Example: 2.""").tag(config=True)
    ephemeral_storage_request_bytes = Integer(
        0,
        min=0,
        help="""How much of its node's disk is set aside for a build; 0 for as much as its limit.

        In bytes. Default: 0; the Helm chart sets 2 GiB. Example: ``2 * 1024**3``.
        """,
    ).tag(config=True)
    extra_requests = Dict(
        Unicode(), help="""What else is set aside for a build, as a pod says it. Default: none. Example: ``{"hugepages-2Mi": "4Mi"}``."""
    ).tag(config=True)
    extra_limits = Dict(Unicode(), help="""What else a build may use, as a pod says it. Default: none. Example: ``{"nvidia.com/gpu": "1"}``.""").tag(
        config=True
    )
    ephemeral_storage_limit_bytes = Integer(
        0,
        min=0,
        help="""How much of its node's disk a build may use; 0 for any amount.

        A build that needs more is evicted and fails. In bytes. Default: 0. Example: ``20 * 1024**3``.
        """,
    ).tag(config=True)
    deadline_seconds = Integer(
        0,
        min=0,
        help="""After how long Kubernetes ends a build pod by itself, also if this service is away; 0 for never.

        In seconds. Default: twice `Limits.build_seconds`.
        """,
    ).tag(config=True)
    seccomp_profile = Dict(
        {"type": "Unconfined"},
        help="""The seccomp profile of the step that runs what repositories say; the others have ``RuntimeDefault``.

        Container runtimes' own profiles forbid the user namespace that this step makes; a profile of the node's that allows it can be
        named. Default: ``{"type": "Unconfined"}``. Example: ``{"type": "Localhost", "localhostProfile": "builds.json"}``.
        """,
    ).tag(config=True)
    security_context = Dict(
        help="""More of that step's security context, or other values for it. Default: none. Example: ``{"procMount": "Unmasked"}``.""",
    ).tag(config=True)
    unschedulable_seconds = Float(
        300, min=0, help="""How long a build pod may wait for a node; then the build fails with ``unschedulable``. In seconds. Default: 300."""
    ).tag(config=True)
    image_pull_seconds = Float(
        300, min=0, help="""How long a build pod may take to start on its node, pulling `builder_image` included. In seconds. Default: 300."""
    ).tag(config=True)

    pull_ahead_to = Unicode(
        "",
        help="""Finds pods in `namespace` of which one is on each node that an image is pulled to when it was made: a label selector.

        Only nodes with such a pod that is ready are asked, each by a pod that runs nothing of the image and is removed. A launch waits for none of
        them. The chart makes such pods (``builder.pullAhead``). Default: none, images are pulled when servers start. Example: ``app=nodes``.
        """,
    ).tag(config=True)
    pull_ahead_secrets = ListTrait(
        Unicode(),
        help="""The names of secrets in `namespace` that images are pulled ahead with. Default: none. Example: ``["registry-login"]``.""",
    ).tag(config=True)
    pull_ahead_seconds = Float(
        600, min=1, help="""How long a node may take to pull an image ahead; then its pod is removed. In seconds. Default: 600."""
    ).tag(config=True)

    @default("namespace")
    def _own_namespace(self) -> str:
        return _NAMESPACE_FILE.read_text().strip() if _NAMESPACE_FILE.exists() else "default"

    @default("deadline_seconds")
    def _long_after_the_service(self) -> int:
        return int(2 * Limits(parent=self.parent).build_seconds)

    @default("server_namespace")
    def _namespace_of_the_hub(self) -> str:
        return _NAMESPACE_FILE.read_text().strip() if _NAMESPACE_FILE.exists() else self.namespace

    def make(self, state: Path, limits: ProcessLimits) -> tuple[Images, Builder]:
        """Return a registry's images, and pods as builder; raises `Unavailable` if one of them is not named."""
        for name in ("registry", "builder_image"):
            if not getattr(self, name):
                raise Unavailable(f"Kubernetes mode needs KubernetesMode.{name}: see docs/kubernetes.md.", code="service_starting")
        pod = self.pod_settings()
        credentials = self.credentials(docker_config_directory(os.environ))
        client = RegistryClient(credentials, self.plain_http_registries, endpoints=pod.endpoints())
        servers = ServersOnCluster(Cluster(self.server_namespace, self.kubeconfig))
        publisher = Publisher(client, self.plain_http_registries, limits.addresses)
        images = RegistryImages(client, pod.image_prefix, pod.name_text(), servers, self.registry_answer_seconds, publisher)
        given = GivenFiles(Contents(state), client, pod.image_prefix)
        bases = [login_from(content, "Every entry of KubernetesMode.base_image_credentials") for content in self.base_image_credentials]
        settings, cluster = self.record(KubernetesSettings, base_logins=logins_text(bases)), Cluster(self.namespace, self.kubeconfig)
        return images, KubernetesBuilder(cluster, settings, pod, credentials, limits, images.forget, images.name_environment, given)

    def builder_info(self) -> dict[str, str]:
        """Return the image that builds run in."""
        return {"build_image": self.builder_image}

    def pod_settings(self) -> PodSettings:
        """Return what the steps in pods need to know; no secret is in it."""
        return self.record(PodSettings, image_prefix=self.whole_prefix())
