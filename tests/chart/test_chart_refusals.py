"""What helm refuses, with a sentence, because it would come up and not work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kubernetes.chart.helm import CHART, REASON, HelmFailed, Values, packed, template
from tests.kubernetes.chart.release import merged

pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)
REGISTRY = {"prefix": "registry.example.org/binder"}
LOGIN = {**REGISTRY, "username": "me", "password": "secret of mine"}
HUB = yaml.safe_load((CHART / "examples" / "in-hub.yaml").read_text())["jupyterhub"]["hub"]  # the two lists
IN_HUB: Values = {"registry": REGISTRY, "service": {"own": False}, "jupyterhub": {"hub": HUB}}
LOGIN_OF_BASE = {"registry": "registry.example.org", "username": "me", "password": "word"}
LINE = f"you:$2y$05${'a' * 53}"
WRONG: list[tuple[Values, str]] = [
    ({"registry": {"existingSecret": "mine", "inCluster": {"enabled": True}}}, "registry.inCluster has a login of its own"),
    ({"registry": {"inCluster": {"enabled": True, "htpasswd": LINE}}}, "registry.inCluster.htpasswd is of a password"),
    ({"registry": {"password": "x", "inCluster": {"enabled": True, "htpasswd": LINE}}}, "is of another user than registry.username, binder"),
    ({"registry": {"inCluster": {"enabled": True, "htpasswd": "me:word"}}}, "registry.inCluster.htpasswd is no line as `htpasswd"),
    ({"registry": {"inCluster": {"enabled": True, "nodePort": 0}}}, "/registry/inCluster/nodePort"),
    (
        {"registry": {"inCluster": {"enabled": True}}, "config": {"KubernetesMode": {"engine_host": "tcp://e"}}},
        "registry.inCluster is for builds in pods",
    ),
    ({"registry": {"prefix": ""}}, "registry.prefix is not set"),
    ({"registry": {"prefix": "ghcr.io/Example"}}, "/registry/prefix"),
    ({"registry": {"prefix": "https://ghcr.io/example"}}, "/registry/prefix"),
    ({"registry": {**LOGIN, "existingSecret": "mine"}}, "not both"),
    ({"registry": {"username": "me"}}, "registry.username is set without registry.password"),
    ({"registry": {"password": "word"}}, "registry.password is set without registry.username"),
    ({"registry": {"imagePrefix": "Binder-"}}, "/registry/imagePrefix"),
    ({"database": {"url": "postgresql://x", "existingSecret": "y"}}, "not both"),
    ({"database": {"url": "db.example.org"}}, "database.url is no address of PostgreSQL"),
    ({"config": {"limits": {"running": 3}}}, "there is no class limits with settings. Did you mean Limits?"),
    ({"config": {"Limit": {"running": 3}}}, "Did you mean Limits?"),
    ({"config": {"KubernetsMode": {}}}, "Did you mean KubernetesMode?"),
    ({"config": {"Zebra": {}}}, "there is no class Zebra with settings."),
    ({"config": {"Limits": {"runing": 3}}}, "Limits has no setting runing. Did you mean running?"),
    ({"config": {"Limits": {"buildSeconds": 3}}}, "Did you mean build_seconds?"),
    ({"config": {"Limits": {"running": "3"}}}, "/config/Limits/running"),
    ({"config": {"Limits": {"running": 0}}}, "/config/Limits/running"),
    ({"config": {"UrlGuard": {"exceptions": "gitlab.example.org"}}}, "/config/UrlGuard/exceptions"),
    ({"config": {"KubernetesMode": {"storage_driver": "btrfs"}}}, "/config/KubernetesMode/storage_driver"),
    ({"config": {"Limits": 3}}, "/config/Limits"),
    ({"builder": {"resources": {"limits": {"memory": "1K"}}}}, "/builder/resources/limits/memory"),
    ({"builder": {"resources": {"limits": {"memory": "512m"}}}}, "/builder/resources/limits/memory"),
    ({"builder": {"resources": {"limits": {"memory": 4}}}}, "/builder/resources/limits/memory"),
    ({"builder": {"resources": {"requests": {"cpu": "2 cores"}}}}, "/builder/resources/requests/cpu"),
    ({"builder": {"resources": {"limits": {"gpu": 1}}}}, "invalid propertyName 'gpu'"),
    ({"builder": {"image": {"tag": ""}}}, "/builder/image/tag"),
    ({"builder": {"caBundle": {"configMap": "a", "secret": "b"}}}, "not both"),
    ({"builder": {"storageDriver": "zfs"}}, "/builder/storageDriver"),
    ({"builder": {"pullAhead": True}}, "/builder/pullAhead"),
    ({"service": {"state": {"storage": "5"}}}, "/service/state/storage"),
    ({"service": {"extraFiles": {"a": {"mountPath": "/a"}}}}, "stringData"),
    ({"service": {"extraConfig": {"a": "x"}}, "config": {"BinderService": {"config_file": "y"}}}, "not both"),
    ({"service": {"own": False}}, "take the two lists of chart/examples/in-hub.yaml"),
    ({**IN_HUB, "service": {"own": False, "extraEnv": {"A": "b"}}}, "in the hub's pod set jupyterhub.hub.extraEnv"),
    ({**IN_HUB, "registry": {"existingSecret": "mine"}}, "registry.existingSecret: the hub's pod mounts nothing called mine"),
    ({"builder": {"createNamespace": True}}, "name one in builder.namespace that is not the release's"),
    ({"builder": {"createNamespace": True, "namespace": "binder"}}, "name one in builder.namespace that is not the release's"),
    ({"builder": {"namespace": "Builds"}}, "/builder/namespace"),
    ({"builder": {"podSecurity": "restricted"}}, "/builder/podSecurity"),
    ({"servers": {"ordinary": True}}, "needs jupyterhub.singleuser.storage.homeMountPath: /home/jovyan"),
    ({"servers": {"ordinary": True}, "public": True}, "with public, everybody names a repository"),
    ({"servers": {"restricted": True}}, "needs jupyterhub.singleuser.cloudMetadata.blockWithIptables: false"),
    ({"service": {"image": {"name": "mine"}}}, "service.image needs both name and tag"),
    ({**IN_HUB, "service": {"own": False, "image": {"name": "mine", "tag": "1"}}}, "in the hub's pod it is jupyterhub.hub.image"),
    ({"registry": {"prefix": "example"}}, "For Docker Hub write docker.io/example."),
    ({"registry": {"prefix": "ghcr.io/example:latest"}}, "/registry/prefix"),
    ({"registry": {"prefix": "ghcr.io/example/"}}, "/registry/prefix"),
    ({"builder": {"image": {"name": "registry.example.org/builder:1"}}}, "/builder/image/name"),
    ({"builder": {"image": {"tag": 0.1}}}, "/builder/image/tag"),
    ({"builder": {"nodeSelector": {"gpu": True}}}, "/builder/nodeSelector/gpu"),
    ({"builder": {"tolerations": {"key": "x"}}}, "/builder/tolerations"),
    ({"builder": {"extraEnv": {"N": 1}}}, "/builder/extraEnv/N"),
    ({"builder": {"gitCredentials": "me:word@git.example.org"}}, "builder.gitCredentials has a line that is no address with a login"),
    ({"builder": {"extraVolumeMounts": [{"name": "x", "mountPath": "/x"}]}}, "mounts x, which builder.extraVolumes does not have"),
    ({"builder": {"registryMirrors": {"docker.io": ["https://mirror.example.org"]}}}, "/builder/registryMirrors/docker.io/0"),
    ({"builder": {"registryMirrors": {"docker.io": []}}}, "/builder/registryMirrors/docker.io"),
    ({"builder": {"baseImageLogins": [{"registry": "registry.example.org"}]}}, "/builder/baseImageLogins/0"),
    ({"builder": {"resources": {"limits": {"ephemeral-storage": "20"}}}}, "/builder/resources/limits/ephemeral-storage"),
    ({"service": {"state": {"accessModes": ["RWO"]}}}, "/service/state/accessModes/0"),
    ({"service": {"pdb": {"minAvailable": 1}}}, "Set service.pdb.minAvailable or service.pdb.maxUnavailable"),
    ({"service": {"extraVolumeMounts": [{"name": "ca", "mountPath": "/ca"}]}}, "mounts ca, which service.extraVolumes does not have"),
    ({"networkPolicy": {"closedRanges": ["10.0.0.0"]}}, "/networkPolicy/closedRanges/0"),
    ({"urlGuard": {"exceptions": ["https://gitlab.example.org"]}}, "/urlGuard/exceptions/0"),
    ({"monitoring": {"serviceMonitor": {"interval": "30"}}}, "/monitoring/serviceMonitor/interval"),
    ({"database": {"url": "mysql://me:word@db/binder"}}, "database.url is no address of PostgreSQL"),
    ({"public": "yes"}, "/public"),
    ({"config": {"KubernetesMode": {"namespace": "builds"}}}, "KubernetesMode.namespace is the chart's to set; set builder.namespace."),
    ({"config": {"BinderService": {"mode": "docker"}}}, "BinderService.mode is the chart's to set."),
    ({"jupyterhub": {"hub": {"baseUrl": "ours"}}}, "jupyterhub.hub.baseUrl has to begin with a slash: /ours"),
    ({"jupyterhub": {"hub": {"image": {"name": "r.example.org/h:1"}}}}, "jupyterhub.hub.image.name has a tag"),
    ({"jupyterhub": {"enabled": False}}, "jupyterhub.enabled must be true"),
    ({"jupyterhub": {"hub": {"image": {"tag": ""}}}}, "jupyterhub.hub.image.tag is empty"),
    ({"jupyterhub": {"hub": {"extraVolumes": [{"name": "mine", "emptyDir": {}}]}}}, "add the entry `binder` of chart/values.yaml"),
    ({"jupyterhub": {"hub": {"extraVolumeMounts": []}}}, "add {name: binder, mountPath: /etc/binder, readOnly: true}"),
    ({"registry": {"prefix": "ghcr.io"}}, "registry.prefix names the registry alone, where nobody may push to: write ghcr.io/NAME"),
    ({"registry": {"prefix": "hub.docker.com/u/me"}}, "write docker.io/NAME"),
    ({"registry": {"prefix": "ghcr.io//example"}}, "/registry/prefix"),
    ({"registry": {"imagePrefix": "/binder-"}}, "/registry/imagePrefix"),
    ({"registry": {"existingSecret": "My_Secret"}}, "/registry/existingSecret"),
    ({"registry": {"username": "me:you", "password": "x"}}, "/registry/username"),
    ({"registry": {"inCluster": {"enabled": True}, "username": "me", "password": "y" * 73}}, "longer than 72 characters"),
    ({"config": {"JupyterHub": {}}}, "It is the hub's: set jupyterhub.hub.config.JupyterHub."),
    ({"config": {"GitHubOAuthenticator": {}}}, "It is the hub's: set jupyterhub.hub.config.GitHubOAuthenticator."),
    ({"config": {"BinderHub": {}}}, "docs/binderhub.md says what takes its place"),
    ({"builder": None}, "missing property 'builder'"),
    ({"builder": {"resources": {"limits": {"memory": "512Mi"}}}}, "builder.resources: the request of memory, 1Gi, is more than its limit, 512Mi."),
    ({"builder": {"resources": {"requests": {"cpu": 2.5}}}}, "builder.resources: the request of cpu, 2.5, is more than its limit, 2."),
    ({"service": {"resources": {"limits": {"cpu": 0.05}}}}, "service.resources: the request of cpu, 100m, is more than its limit, 0.05."),
    ({"builder": {"resources": {"requests": {"memory": "2M"}, "limits": {"memory": "4M"}}}}, "no build fits in 4M"),
    ({"builder": {"resources": {"limits": {"nvidia.com/gpu": -1}}}}, "/builder/resources/limits/nvidia.com"),
    ({"builder": {"tolerations": [{"key": "a", "operator": "Equals"}]}}, "/builder/tolerations/0/operator"),
    ({"service": {"tolerations": [{"key": "a", "effect": "NoScedule"}]}}, "/service/tolerations/0/effect"),
    ({"registry": {"inCluster": {"tolerations": [{"keys": "a"}]}}}, "/registry/inCluster/tolerations/0"),
    ({"builder": {"affinity": {"nodeAffinty": {}}}}, "/builder/affinity"),
    ({"builder": {"topologySpreadConstraints": [{"maxSkew": 1}]}}, "/builder/topologySpreadConstraints/0"),
    ({"builder": {"labels": {"team": "of mine"}}}, "/builder/labels/team"),
    ({"service": {"labels": {"component": "x"}}}, "invalid propertyName 'component'"),
    ({"service": {"extraEnv": {"WORKERS": 1000000}}}, "/service/extraEnv/WORKERS"),
    ({"builder": {"extraEnv": {"A=B": "x"}}}, "invalid propertyName 'A=B'"),
    ({"builder": {"extraPodSpec": {"containers": []}}}, "invalid propertyName 'containers'"),
    ({"builder": {"extraVolumes": [{"name": "x", "configmap": {"name": "x"}}]}}, "invalid propertyName 'configmap'"),
    ({"builder": {"extraVolumes": [{"name": "work", "emptyDir": {}}]}}, "builder.extraVolumes has a volume work, which is there already"),
    ({"builder": {"extraVolumeMounts": [{"name": "x", "mountPath": "x"}]}}, "/builder/extraVolumeMounts/0/mountPath"),
    ({"builder": {"cacheVolume": {"name": "cache", "hostPath": {"path": "/x"}}}}, "/builder/cacheVolume"),
    (
        {"builder": {"baseImageLogins": [{**LOGIN_OF_BASE, "registry": "https://r.example.org"}]}},
        "/builder/baseImageLogins/0/registry",
    ),
    ({"builder": {"image": {"name": "registry.example.org/Builder"}}}, "/builder/image/name"),
    ({"service": {"image": {"name": "https://registry.example.org/hub", "tag": "1"}}}, "/service/image/name"),
    ({"service": {"apiToken": "a token of ours"}}, "service.apiToken has a space or a letter beyond ASCII"),
    ({"service": {"extraFiles": {"a": {"mountPath": "a", "stringData": "x"}}}}, "/service/extraFiles/a/mountPath"),
    ({"service": {"extraVolumes": [{"name": "state", "emptyDir": {}}]}}, "service.extraVolumes has a volume state, which is there already"),
    ({"service": {"extraVolumeMounts": [{"name": "state", "mountPath": "/srv/binder/"}]}}, "where something is mounted already"),
    ({"service": {"state": {"existingClaim": "mine", "persistent": False}}}, "service.state.existingClaim is a volume that lasts"),
    ({"service": {"state": {"accessModes": []}}}, "/service/state/accessModes"),
    ({"service": {"pdb": {"maxUnavailable": "one"}}}, "/service/pdb/maxUnavailable"),
    ({"database": {"url": "postgresql+asyncpg://me:word@db/binder"}}, "database.url is no address of PostgreSQL"),
    ({"networkPolicy": {"closedRanges": ["10.0.0.0/33"]}}, "/networkPolicy/closedRanges/0"),
    ({"networkPolicy": {"builderEgress": [{"ipBlock": {"cidr": "10.1.2.3/32"}}]}}, "/networkPolicy/builderEgress/0"),
    ({"networkPolicy": {"serviceEgress": [{"to": [{"ipBlock": {"cidr": "10.1.2.3"}}]}]}}, "/networkPolicy/serviceEgress/0/to/0/ipBlock/cidr"),
    ({"networkPolicy": {"serviceIngress": [{"to": []}]}}, "/networkPolicy/serviceIngress/0"),
    (
        {"public": True, "jupyterhub": {"hub": {"config": {"JupyterHub": {"authenticator_class": "github"}}}}},
        "the authenticator github would never be asked",
    ),
    ({"jupyterhub": {"hub": {"config": {"authenticator_class": "github"}}}}, "e.g. jupyterhub.hub.config.JupyterHub.authenticator_class"),
    ({"jupyterhub": {"hub": {"config": {"Authenticator": {"allowed_users": "me"}}}}}, "Authenticator.allowed_users has to be a list: [me]"),
    ({"jupyterhub": {"hub": {"config": {"A": {"oauth_callback_url": "hub.example.org"}}}}}, "https://hub.example.org/hub/oauth_callback"),
    ({"jupyterhub": {"hub": {"baseUrl": "https://hub.example.org/ours/"}}}, "is a path without scheme and host: /, or /ours/"),
    ({"jupyterhub": {"hub": {"image": {"name": "quay.io/jupyterhub/k8s-hub"}}}}, "is zero-to-jupyterhub's own image"),
    ({"jupyterhub": {"hub": {"image": {"name": "REGISTRY/hub"}}}}, "jupyterhub.hub.image.name has capitals, or still its placeholder"),
    ({"jupyterhub": {"hub": {"image": {"name": "https://r.example.org/hub"}}}}, "jupyterhub.hub.image.name is a name without scheme"),
    ({"jupyterhub": {"hub": {"extraConfig": {"50-binder": None}}}}, "jupyterhub.hub.extraConfig lacks the chart's entry 50-binder"),
    ({**IN_HUB, "registry": LOGIN, "jupyterhub": {"hub": {**HUB, "extraEnv": {"DOCKER_CONFIG": None}}}}, "jupyterhub.hub.extraEnv lacks the chart's"),
    ({"jupyterhub": {"ingress": {"hosts": ["https://hub.example.org"]}}}, "jupyterhub.ingress.hosts names hosts"),
    ({"jupyterhub": {"singleuser": {"memory": {"limit": "2Gi"}}}}, "jupyterhub.singleuser.memory.limit: 2Gi is no amount as the hub has them"),
    (
        {"jupyterhub": {"singleuser": {"profileList": [{"display_name": "A", "kubespawner_override": {"mem_limit": "2Gi"}}]}}},
        "jupyterhub.singleuser.profileList[0].kubespawner_override.mem_limit",
    ),
    ({"jupyterhub": {"singleuser": {"storage": {"capacity": "10GB"}}}}, "jupyterhub.singleuser.storage.capacity: 10GB is no amount"),
    ({"registry": {**LOGIN, "password": "REPLACE-me"}}, "registry.password is a placeholder"),
    ({"registry": {**LOGIN, "username": "<user>"}}, "registry.username is a placeholder"),
    ({"registry": {**LOGIN, "password": "${REGISTRY_PASSWORD}"}}, "registry.password is a placeholder"),
    ({"service": {"apiToken": "change-me"}}, "service.apiToken is a placeholder"),
    ({"database": {"url": "postgresql+psycopg://binder:PASSWORD@db/binder"}}, "database.url is a placeholder"),
    ({"builder": {"gitCredentials": "https://a:b@git.example.org\nhttps://me:TOKEN@git.example.org\n"}}, "builder.gitCredentials is a placeholder"),
    ({"builder": {"baseImageLogins": [{**LOGIN_OF_BASE, "password": "your-token-here"}]}}, "builder.baseImageLogins.0.password is a placeholder"),
    ({"jupyterhub": {"hub": {"config": {"GitHubOAuthenticator": {"client_id": "ID"}}}}}, "GitHubOAuthenticator.client_id is a placeholder"),
    ({"service": {"apiToken": "x1z"}}, "service.apiToken has 3 characters, and the hub takes no token with less than 8"),
    ({"jupyterhub": {"hub": {"services": {"mine": {"apiToken": "x1z"}}}}}, "jupyterhub.hub.services.mine.apiToken has 3 characters"),
    ({"jupyterhub": {"hub": {"cookieSecret": "ab" * 16}}}, "jupyterhub.hub.cookieSecret is no secret of 64 hexadecimal digits"),
    ({"jupyterhub": {"hub": {"config": {"JupyterHub": {"cookie_secret": "mine"}}}}}, "JupyterHub.cookie_secret is no secret of 64"),
    ({"jupyterhub": {"proxy": {"secretToken": "a-short-one"}}}, "jupyterhub.proxy.secretToken has 11 characters"),
    ({"jupyterhub": {"hub": {"config": {"CryptKeeper": {"keys": ["short"]}}}}}, "CryptKeeper.keys.0 is no key of 32 bytes"),
    ({"config": {"BuildToken": {"secret": "ab"}}}, "config.BuildToken.secret is no secret of 64 hexadecimal digits"),
    ({"config": {"GitLabProvider": {"url": "https://me:word@gitlab.example.org"}}}, "GitLabProvider.url has a login in an address"),
    ({"config": {"KubernetesMode": {"registry_mirrors": {"docker.io": ["https://word@m.example.org"]}}}}, "registry_mirrors has a login"),
    ({"registry": {"prefix": "ghcr.io/example", "inCluster": {"enabled": True}}}, "registry.prefix names ghcr.io and registry.inCluster"),
    ({"registry": {"prefix": "quay.io/example", "plainHttp": True}}, "quay.io has TLS"),
    ({"registry": {"inCluster": {"existingClaim": "mine"}}}, "registry.inCluster.existingClaim is set, and registry.inCluster.enabled is false"),
    (
        {"database": {"url": "postgresql://db/a"}, "config": {"BinderService": {"database_url": "postgresql://db/b"}}},
        "Set database.url or config.BinderService.database_url, not both",
    ),
    ({"config": {"BinderService": {"auth_enabled": False}}}, "BinderService.auth_enabled is the chart's to set; set public."),
    ({"builder": {"namespace": "b", "createNamespace": True, "podSecurity": "baseline"}}, "builder.podSecurity: baseline admits no build"),
    ({"builder": {"baseImageLogins": [LOGIN_OF_BASE, LOGIN_OF_BASE]}}, "builder.baseImageLogins has two logins of registry.example.org"),
    ({**IN_HUB, "service": {"own": False, "state": {"persistent": False}}}, "names the claim binder-state, which there is not then"),
    ({"config": {"Limits": {"free_bytes": 10**10}}}, "config.Limits.free_bytes is more than the service's volume has, 5Gi"),
    ({"config": {"Cleaning": {"log_bytes": 10**10}}}, "config.Cleaning.log_bytes is more than the service's volume has"),
    ({"jupyterhub": {"hub": {"config": {"A": {"oauth_callback_url": "https://hub.example.org/oauth_callback"}}}}}, "leads past the hub"),
    ({"jupyterhub": {"hub": {"db": {"type": "postgres"}}}}, "jupyterhub.hub.db.type is postgres without jupyterhub.hub.db.url"),
    ({"jupyterhub": {"proxy": {"https": {"enabled": True}}}}, "has no effect without jupyterhub.proxy.https.hosts"),
    ({"jupyterhub": {"singleuser": {"memory": {"limit": "512M"}}}}, "jupyterhub.singleuser.memory.guarantee, 1G, is more than its limit, 512M"),
    ({"jupyterhub": {"singleuser": {"cpu": {"limit": 0.5, "guarantee": 1}}}}, "jupyterhub.singleuser.cpu.guarantee, 1, is more than its limit, 0.5"),
    (
        {"jupyterhub": {"singleuser": {"profileList": [{"display_name": "A", "kubespawner_override": {"mem_limit": "512M"}}]}}},
        "profileList[0].kubespawner_override.mem_guarantee, 1G, is more than its limit, 512M",
    ),
    ({"registry": {"prefix": "localhost:5000/binder"}}, "localhost:5000 is another machine for each pod and node"),
    ({"service": {"extraEnv": {"JUPYTERHUB_API_URL": "http://hub"}}}, "service.extraEnv.JUPYTERHUB_API_URL is the chart's to set"),
    ({"jupyterhub": {"hub": {"services": {"binder": {"url": "http://mine"}}}}}, "jupyterhub.hub.services.binder is the chart's own service"),
    ({"service": {"extraFiles": {"a": {"mountPath": "/etc/binder/a", "stringData": "x"}}}}, "mountPath: /etc/binder/a is where the chart has"),
    ({"jupyterhub": {"singleuser": {"uid": 0}}}, "jupyterhub.singleuser.uid is 0"),
    ({"jupyterhub": {"singleuser": {"storage": {"homeMountPath": "home/person"}}}}, "homeMountPath has to begin with a slash: /home/person"),
    ({"jupyterhub": {"singleuser": {"storage": {"dynamic": {"pvcNameTemplate": "homes"}}}}}, "is one home for all people"),
    ({"jupyterhub": {"singleuser": {"storage": {"type": "static"}}}}, "name the claim in jupyterhub.singleuser.storage.static.pvcName"),
]


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packed(tmp_path_factory.mktemp("chart"))


def together(wrong: list[tuple[Values, str]]) -> Iterator[tuple[Values, list[str]]]:
    """Yield wrong values with the words expected: as many at a time as helm tells of, which is one of the templates, and all of the schema's."""
    left = list(wrong)
    while left:
        values, words = left.pop(0)
        expected, rest = [words], []
        for other, theirs in left:
            of_schema = words.startswith("/") and theirs.startswith("/")
            if of_schema and not any(
                f"{one}/".startswith((f"{two}/", two)) or two.startswith(f"{one}/") for one in leaves(values) for two in leaves(other)
            ):
                values, expected = merged(values, other), [*expected, theirs]
            else:
                rest.append((other, theirs))
        left = rest
        yield values, expected


def leaves(values: Any, path: str = "") -> set[str]:
    """Return the paths of all values that are no dictionaries."""
    return {path} if not isinstance(values, dict) or not values else {found for name in values for found in leaves(values[name], f"{path}/{name}")}


def test_what_would_not_work_is_refused_with_a_sentence(chart: Path) -> None:
    for values, expected in together(WRONG):
        registry = {**REGISTRY, **values.get("registry", {})}
        with pytest.raises(HelmFailed) as refused:
            template(chart, {**values, "registry": registry})
        assert [words for words in expected if words not in str(refused.value)] == []
        assert "word@" not in str(refused.value), "helm's words go into logs"
