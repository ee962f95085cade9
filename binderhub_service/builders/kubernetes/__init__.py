"""Builds in pods of a Kubernetes cluster: one pod a build, and one watch for all of them."""

from __future__ import annotations

from .builder import KubernetesBuilder
from .cluster import Cluster
from .given import GivenFiles
from .servers import ServersOnCluster
from .settings import KubernetesSettings

__all__ = ["Cluster", "GivenFiles", "KubernetesBuilder", "KubernetesSettings", "ServersOnCluster"]
