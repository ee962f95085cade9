"""A release of the chart on the cluster, asked as any hub of the tests."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from tests.harness.hub import HubProcess
from tests.harness.hub_config import PEOPLE
from tests.harness.waiting import wait_for
from tests.kubernetes.chart.helm import Values, helm
from tests.kubernetes.images import builder_image, hub_base_image, hub_image, registry
from tests.kubernetes.kubectl import found, kubectl, processes_of
from tests.kubernetes.servers.images import fake_image

NAME = "binder"
INSTALL_SECONDS = 180
WAITS = ("--wait", f"--timeout={INSTALL_SECONDS}s")
# What every namespace has.
ALWAYS_THERE = {"ServiceAccount/default", "ConfigMap/kube-root-ca.crt"}
KINDS = "all,secrets,configmaps,persistentvolumeclaims,serviceaccounts,roles,rolebindings,networkpolicies,poddisruptionbudgets"
# What a build says when it is in the middle.
BEFORE = "half of it is done"
WRAPPER = '#!/bin/sh\\n[ "$1" = --version ] && echo 5.5.0 && exit\\nexec /fake/jupyterhub-singleuser "$@"\\n'


def little_dockerfile(seconds: int) -> str:
    """Return a Dockerfile of a small image whose server starts at once, and whose build takes a while after `BEFORE`."""
    program = "/usr/local/bin/jupyterhub-singleuser"
    return f"""\
FROM {fake_image()}
USER root
RUN printf '{WRAPPER}' > {program} && chmod +x {program}
RUN echo '{BEFORE}' && sleep {seconds} && echo 'all of it is'
ENV PATH=/usr/local/bin:$PATH
USER 1000
COPY . /home/jovyan/
"""


def named(image: str) -> dict[str, str]:
    """Return an image as charts take it."""
    name, _, tag = image.rpartition(":")
    return {"name": name, "tag": tag}


def merged(first: Values, second: Values) -> Values:
    """Return two trees of values as one; the second wins."""
    both = {name: merged(first[name], second[name]) for name in first.keys() & second.keys() if isinstance(second[name], dict)}
    return {**first, **second, **both}


class Release(HubProcess):
    """The chart, installed in a namespace whose volumes are folders of this machine.

    Attributes:
        values: what it was installed with.
    """

    def __init__(self, chart: Path, namespace: str, storage_class: str, more: Values) -> None:
        self.chart = chart
        self.namespace = namespace
        self.base_url = "/"
        self.admin_token = secrets.token_hex(16)
        self.values = merged(self._values(storage_class), more)

    def start(self) -> None:
        """Install it, and wait until the hub and the service answer."""
        self.helm("install", *WAITS)
        self.url = f"http://{kubectl('get', 'service', 'proxy-public', self._there, '--output=jsonpath={.spec.clusterIP}')}"
        self.service_url = f"{self.url}/services/binder"
        self._wait_for(self.service_is_up, "the service", 60)

    def stop(self) -> None:
        """Leave it: it goes with its namespace."""

    def helm(self, *arguments: str, **more: Any) -> str:
        """Install or upgrade the release with its values and `more`."""
        self.values = merged(self.values, more)
        verb, *options = arguments
        return helm(verb, NAME, str(self.chart), self._there, *options, values=self.values)

    def uninstall(self) -> None:
        """Remove the release as its documentation says."""
        helm("uninstall", NAME, self._there, *WAITS)

    def log(self) -> str:
        """Return the end of what the hub and a service of its own wrote."""
        return "\n".join(kubectl("logs", name, self._there, "--tail=60", check=False) for name in ("deployment/hub", "deployment/binder-service"))

    def pod(self, component: str) -> dict[str, Any] | None:
        """Return a component's pod, unless it is about to go."""
        pods = found("pods", self.namespace, f"--selector=component={component}")
        return next((pod for pod in pods if "deletionTimestamp" not in pod["metadata"]), None)

    def starts(self, component: str) -> tuple[str, int]:
        """Return what changes when a component's pod or its container is another one."""
        pod = self.pod(component)
        statuses = pod["status"].get("containerStatuses", []) if pod else []
        return (pod["metadata"]["name"] if pod else "", sum(status["restartCount"] for status in statuses))

    def kill(self) -> None:
        """Kill the processes of the pod in which the service runs, and wait for the pod that takes its place.

        A pod that is deleted by force leaves the cluster's lists at once, and its processes may answer long after that.
        """
        component = "binder-service" if self.values["service"].get("own", True) else "hub"
        before = self.pod(component)
        assert before, f"no pod of {component}"
        processes = processes_of(before)
        assert processes, f"the pod of {component} has no process on this machine"
        kubectl("delete", "pod", before["metadata"]["name"], self._there, "--grace-period=0", "--force")
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        wait_for(lambda: not processes_of(before), "the end of its processes", 60)
        wait_for(lambda: self.starts(component)[0] not in {before["metadata"]["name"], ""}, "another pod", every_seconds=0.5)

    def wait_until_up(self) -> None:
        """Wait until the hub and the service answer again."""
        self._wait_for(lambda: self._answers() and self.service_is_up(), "the hub", 120)

    def left(self) -> set[str]:
        """Return what is in its namespace beyond what is in every one."""
        return {f"{one['kind']}/{one['metadata']['name']}" for one in found(KINDS, self.namespace)} - ALWAYS_THERE

    def _wait_for(self, condition: Callable[[], bool], what: str, timeout_seconds: float) -> None:
        """Wait as `wait_for` does; where it is in vain, say what the pods and their logs tell then."""
        try:
            wait_for(condition, what, timeout_seconds, every_seconds=0.5)
        except TimeoutError as error:
            pods = kubectl("describe", "pods", self._there, "--selector=app=jupyterhub", check=False)
            raise TimeoutError(f"{error}\n{self.log()}\n{pods[-5000:]}") from None

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/hub/health", timeout=5).is_success
        except httpx.TransportError:
            return False

    @property
    def _there(self) -> str:
        return f"--namespace={self.namespace}"

    def _values(self, storage_class: str) -> Values:
        little = {"cpu": "10m", "memory": "64Mi"}
        people = {"JupyterHub": {"authenticator_class": "dummy"}, "Authenticator": {"allowed_users": list(PEOPLE)}}
        return {
            "registry": {"prefix": f"{registry()}/{self.namespace}", "plainHttp": True},
            "builder": {"image": named(builder_image()), "resources": {"requests": little}},
            "service": {"resources": {"requests": little}, "state": {"storageClassName": storage_class, "storage": "1Gi"}},
            "urlGuard": {"exceptions": [os.environ["KUBE_TEST_HOST"]]},
            "jupyterhub": {
                "hub": {
                    "image": named(hub_image()),
                    "db": {"pvc": {"storageClassName": storage_class}},
                    "config": people,
                    "services": {"harness": {"apiToken": self.admin_token}},
                    "loadRoles": {"harness": {"scopes": ["admin:users", "admin:servers", "tokens", "access:servers"], "services": ["harness"]}},
                },
                "proxy": {"service": {"type": "ClusterIP"}, "chp": {"image": named(hub_base_image())}},
                "singleuser": {"storage": {"type": "none"}, "memory": {"guarantee": "64M"}},
            },
        }
