"""A namespace in which a hub may exactly what the chart zero-to-jupyterhub lets it, and volumes for homes in it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from kubespawner import clients

from tests.kubernetes.kubectl import fresh_namespace, kubectl, make_volume

# As the hub's Role in zero-to-jupyterhub's chart.
SEE = ["get", "watch", "list"]
RULES = [
    {"apiGroups": [""], "resources": ["pods", "persistentvolumeclaims", "secrets", "services"], "verbs": [*SEE, "create", "delete"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": SEE},
]


@dataclass(frozen=True)
class HubNamespace:
    """Where a hub of the tests may have its servers.

    Attributes:
        namespace: its namespace.
        kubeconfig: a configuration of a client that may what a hub may.
    """

    namespace: str
    kubeconfig: Path


@pytest.fixture(scope="package")
def hub_namespace(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubNamespace]:
    """A namespace and a hub's rights in it; KubeSpawner of this process has them, too."""
    with fresh_namespace() as namespace:
        file = tmp_path_factory.mktemp("hub") / "kubeconfig"
        _give_rights(namespace)
        _write_kubeconfig(namespace, file)
        with pytest.MonkeyPatch.context() as context:
            context.setattr("kubernetes_asyncio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(file))
            clients.load_config.cache_clear()
            yield HubNamespace(namespace, file)
        clients.load_config.cache_clear()


def _give_rights(namespace: str) -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "hub"}, "rules": RULES}
    kubectl("create", "serviceaccount", "hub", "-n", namespace)
    kubectl("create", "-n", namespace, "-f", "-", content=role)
    kubectl("create", "rolebinding", "hub", "--role=hub", f"--serviceaccount={namespace}:hub", "-n", namespace)


def _write_kubeconfig(namespace: str, file: Path) -> None:
    token = kubectl("create", "token", "hub", "-n", namespace)
    cluster = "{.clusters[0].cluster."
    server, authority = (kubectl("config", "view", "--raw", "--minify", f"-o=jsonpath={cluster}{key}}}") for key in ("server", _AUTHORITY))
    if not authority:
        path = kubectl("config", "view", "--raw", "--minify", f"-o=jsonpath={cluster}certificate-authority}}")
        authority = base64.b64encode(Path(path).read_bytes()).decode()
    certificate = file.with_name("ca.crt")
    certificate.write_bytes(base64.b64decode(authority))
    kubectl("config", f"--kubeconfig={file}", "set-cluster", "c", f"--server={server}", f"--certificate-authority={certificate}")
    kubectl("config", f"--kubeconfig={file}", "set-credentials", "hub", f"--token={token}")
    kubectl("config", f"--kubeconfig={file}", "set-context", "c", "--cluster=c", "--user=hub", f"--namespace={namespace}")
    kubectl("config", f"--kubeconfig={file}", "use-context", "c")


_AUTHORITY = "certificate-authority-data"


@pytest.fixture
def storage_class(hub_namespace: HubNamespace, tmp_path: Path) -> Iterator[str]:
    """The name of a class of storage that has one volume: a folder of this machine that belongs to root."""
    name = f"{hub_namespace.namespace}-{tmp_path.name}"[:60].strip("-").replace("_", "-").lower()
    folder = tmp_path / "volume"
    folder.mkdir(mode=0o755)
    [node] = kubectl("get", "nodes", "-o=jsonpath={.items[*].metadata.name}").split()
    terms = [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}]
    make_volume(name, name, local={"path": str(folder)}, nodeAffinity={"required": {"nodeSelectorTerms": terms}})
    yield name
    kubectl("delete", "pv", name, "--wait=false")
