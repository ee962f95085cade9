"""What helm makes of the chart; zero-to-jupyterhub is stood in for."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import bcrypt
import pytest
import yaml

from spawner.kubernetes.chart import DEFAULT_USER_ID, service_settings
from tests.kubernetes.chart.helm import CHART, KUBERNETES, REASON, Objects, Values, by_name, helm, packed, template

needs_helm = pytest.mark.skipif(bool(REASON), reason=REASON)
REGISTRY = {"prefix": "registry.example.org/binder"}
LOGIN = {**REGISTRY, "username": "me", "password": "secret of mine"}
OWN: Values = {"registry": REGISTRY}
HUB = yaml.safe_load((CHART / "examples" / "in-hub.yaml").read_text())["jupyterhub"]["hub"]  # the two lists
IN_HUB: Values = {"registry": REGISTRY, "service": {"own": False}, "jupyterhub": {"hub": HUB}}
EXAMPLES = sorted(path.name for path in (CHART / "examples").glob("*.yaml"))


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packed(tmp_path_factory.mktemp("chart"))


def objects(chart: Path, values: Values | None = None) -> Objects:
    return by_name(template(chart, values))


def secret(made: Objects, name: str, key: str) -> str:
    return base64.b64decode(made["Secret", name]["data"][key]).decode()


# --- everything that may be set ------------------------------------------------------------------------------------------


@needs_helm
@pytest.mark.parametrize(
    "values",
    [
        OWN,
        {"registry": LOGIN},
        IN_HUB,
        {**OWN, "database": {"url": "postgresql+psycopg://me:word@db/binder"}},
        {**OWN, "service": {"state": {"persistent": False}, "pdb": {"enabled": False}, "serviceAccount": {"create": False}}},
        {**OWN, "registry": {**REGISTRY, "existingSecret": "mine"}, "database": {"existingSecret": "db"}},
        {**OWN, "networkPolicy": {"enabled": False}, "rbac": {"create": False}},
        {
            "registry": {
                "inCluster": {"enabled": True, "nodeSelector": {"disk": "big"}, "tolerations": [{"key": "mine"}], "image": {"pullPolicy": "Always"}}
            }
        },
        {**OWN, "builder": {"namespace": "builds"}},
        {**IN_HUB, "monitoring": {"serviceMonitor": {"enabled": True}, "grafanaDashboard": {"enabled": True}}},
        {**OWN, "monitoring": {"serviceMonitor": {"enabled": True}}, "jupyterhub": {"hub": {"baseUrl": "/hub-of-ours/"}}},
    ],
    ids=lambda values: json.dumps(values)[:60],
)
def test_helm_makes_sound_objects_of(chart: Path, values: Values) -> None:
    helm("lint", str(chart), f"--kube-version={KUBERNETES}", values=values)
    made = template(chart, values)
    names = [(thing["kind"], thing["metadata"].get("namespace"), thing["metadata"]["name"]) for thing in made]
    assert len(names) == len(set(names))
    ours = [thing for thing in made if thing["metadata"]["labels"].get("app.kubernetes.io/name") == "binderspawner"]
    assert {thing["metadata"]["labels"]["app.kubernetes.io/instance"] for thing in ours} == {"binder"}
    assert "secret of mine" not in json.dumps(made)


@needs_helm
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_can_be_installed_as_it_is(chart: Path, name: str) -> None:
    made = by_name(template(chart, None, f"--values={CHART / 'examples' / name}"))
    values = json.loads(secret(made, "binder-config", "values.json"))
    assert values["registry"]["prefix"]
    assert values["pullSecret"] == ("" if "plain" in name else "binder-registry")


@needs_helm
def test_the_release_gets_no_more_rights_than_builds_need(chart: Path) -> None:
    made = objects(chart, OWN)
    assert {tuple(rule["resources"]): rule["verbs"] for rule in made["Role", "binder-builds"]["rules"]} == {
        ("pods",): ["create", "get", "list", "watch", "delete"],
        ("pods/log",): ["get"],
        ("secrets",): ["create"],
        ("configmaps",): ["get"],
    }
    assert made["Role", "binder-builds"]["rules"][-1]["resourceNames"] == ["binder-builds"]
    assert not {kind for kind, _ in made} & {"ClusterRole", "ClusterRoleBinding"}


@needs_helm
@pytest.mark.parametrize(
    ("values", "account"),
    [
        (IN_HUB, "hub"),
        (OWN, "binder-service"),
        ({**OWN, "service": {"serviceAccount": {"create": False, "name": "mine"}}}, "mine"),
        ({**IN_HUB, "jupyterhub": {"hub": {**HUB, "serviceAccount": {"name": "theirs"}}}}, "theirs"),
        ({**IN_HUB, "jupyterhub": {"hub": {**HUB, "serviceAccount": {"create": False}}}}, "default"),
    ],
)
def test_rights_go_to_the_account_that_runs_builds(chart: Path, values: Values, account: str) -> None:
    made = objects(chart, {**values, "builder": {"namespace": "builds"}})
    binding = made["RoleBinding", "binder-builds"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": "binder"}]
    assert binding["metadata"]["namespace"] == made["ConfigMap", "binder-builds"]["metadata"]["namespace"] == "builds"


@needs_helm
def test_builds_get_a_namespace_of_their_own_with_the_level_that_they_need(chart: Path) -> None:
    made = objects(chart, {**OWN, "builder": {"namespace": "builds", "createNamespace": True}})
    assert made["Namespace", "builds"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "privileged"
    assert ("Namespace", "builds") not in objects(chart, {**OWN, "builder": {"namespace": "builds"}})


@needs_helm
def test_images_are_pulled_ahead_to_the_nodes_that_servers_go_to_or_to_all(chart: Path) -> None:
    assert ("DaemonSet", "binder-nodes") not in objects(chart, OWN)
    theirs = {
        "singleuser": {
            "nodeSelector": {"pool": "people"},
            "extraTolerations": [{"key": "gpu"}],
            "extraNodeAffinity": {"required": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]},
        },
        "scheduling": {"userPods": {"nodeAffinity": {"matchNodePurpose": "require"}}},
    }
    for where in ("servers", "all"):
        made = objects(chart, {"registry": LOGIN, "builder": {"pullAhead": where, "namespace": "builds"}, "jupyterhub": theirs})
        nodes = made["DaemonSet", "binder-nodes"]
        pod = nodes["spec"]["template"]["spec"]
        assert nodes["metadata"]["namespace"] == "builds"
        assert [one["key"] for one in pod["tolerations"]] == ["hub.jupyter.org/dedicated", "hub.jupyter.org_dedicated", "gpu"]
        assert pod.get("nodeSelector") == ({"pool": "people"} if where == "servers" else None)
        assert json.dumps(pod.get("affinity", "")).count("hub.jupyter.org/node-purpose") == (where == "servers")
        values = json.loads(secret(made, "binder-config", "values.json"))
        found = service_settings(values, Path("/nowhere"))["KubernetesMode"]
        wanted = dict(pair.split("=") for pair in found["pull_ahead_to"].split(","))
        assert wanted.items() <= nodes["spec"]["template"]["metadata"]["labels"].items()
        assert found["pull_ahead_secrets"] == ["binder-registry"]
    made_anew = template(chart, {"registry": LOGIN, "builder": {"pullAhead": "all", "namespace": "builds"}})
    logins = [one["metadata"].get("namespace", "binder") for one in made_anew if one["metadata"]["name"] == "binder-registry"]
    assert sorted(logins) == ["binder", "builds"]


@needs_helm
def test_a_changed_value_restarts_what_reads_it_and_nothing_else(chart: Path) -> None:
    def checksums(values: Values) -> tuple[str, str]:
        made = objects(chart, values)
        hub = made["Deployment", "hub"]["spec"]["template"]["metadata"]["annotations"]
        service = made["Deployment", "binder-service"]["spec"]["template"]["metadata"]["annotations"] if values is not IN_HUB else {}
        return hub["checksum/binder"], service.get("checksum/values", "")

    limits, elsewhere = {"config": {"Limits": {"running": 3}}}, {"builder": {"namespace": "builds"}}
    hub, service = checksums(OWN)
    assert checksums(OWN) == (hub, service)
    assert checksums({**OWN, **limits})[0] == hub
    assert checksums({**OWN, **limits})[1] != service
    assert checksums({**OWN, **elsewhere})[0] != hub
    in_hub = objects(chart, {**IN_HUB, **limits})["Deployment", "hub"]["spec"]["template"]["metadata"]["annotations"]
    assert in_hub["checksum/binder"] != checksums(IN_HUB)[0]


@needs_helm
def test_a_service_of_its_own_sees_servers_wherever_builds_are(chart: Path) -> None:
    elsewhere = {**OWN, "builder": {"namespace": "builds"}}
    assert objects(chart, elsewhere)["Role", "binder-servers"]["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
    for values in (OWN, {**IN_HUB, "builder": {"namespace": "builds"}}):
        assert ("Role", "binder-servers") not in objects(chart, values)


@needs_helm
def test_builds_reach_the_outside_and_what_is_named_and_nobody_reaches_them(chart: Path) -> None:
    inside = {"to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}], "ports": [{"protocol": "TCP", "port": 5000}]}
    policy = objects(chart, {**OWN, "networkPolicy": {"builderEgress": [inside]}})["NetworkPolicy", "binder-builds"]["spec"]
    assert policy["podSelector"]["matchLabels"] == {"component": "binderhub-build", "binder.instance": "binder"}
    assert policy["ingress"] == []
    names, outside, registry = policy["egress"]
    assert {entry["port"] for entry in names["ports"]} == {53}
    assert registry == inside
    closed = {entry["ipBlock"]["cidr"]: entry["ipBlock"]["except"] for entry in outside["to"]}
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"} <= set(closed["0.0.0.0/0"])
    assert "fc00::/7" in closed["::/0"]


@needs_helm
@pytest.mark.parametrize(("values", "component"), [(IN_HUB, "hub"), (OWN, "binder-service")], ids=["in the hub's pod", "of its own"])
def test_hub_and_proxy_reach_the_service_wherever_it_is_whatever_lists_an_operator_has(chart: Path, values: Values, component: str) -> None:
    mine = {"ports": [{"port": 9999}]}
    hub = {**values.get("jupyterhub", {}).get("hub", {}), "networkPolicy": {"ingress": [mine], "egress": [mine]}, "service": {"extraPorts": []}}
    made = objects(chart, {**values, "jupyterhub": {"hub": hub, "proxy": {"chp": {"networkPolicy": {"egress": [mine]}}}}})
    assert mine in made["NetworkPolicy", "hub"]["spec"]["ingress"]
    service = made["Service", "binder-service"]["spec"]
    assert service["selector"]["component"] == component
    assert service["ports"][0]["targetPort"] == 8585
    [from_proxy] = made["NetworkPolicy", "binder-proxy"]["spec"]["egress"]
    assert from_proxy == {"ports": [{"protocol": "TCP", "port": 8585}], "to": [{"podSelector": {"matchLabels": service["selector"]}}]}
    policy = made["NetworkPolicy", "binder-service" if component == "binder-service" else "binder-hub"]["spec"]
    assert policy["podSelector"]["matchLabels"] == service["selector"]
    assert "proxy" in [peer["podSelector"]["matchLabels"]["component"] for peer in policy["ingress"][0]["from"]]
    if component == "binder-service":
        [from_hub] = made["NetworkPolicy", "binder-hub"]["spec"]["egress"]
        assert from_hub["to"] == [{"podSelector": {"matchLabels": service["selector"]}}]


@needs_helm
def test_no_policy_closes_a_hub_or_a_proxy_that_has_none(chart: Path) -> None:
    off = {"networkPolicy": {"enabled": False}}
    made = objects(chart, {**OWN, "jupyterhub": {"hub": off, "proxy": {"chp": off}}})
    assert {name for kind, name in made if kind == "NetworkPolicy"} == {"binder-builds", "binder-service"}


@needs_helm
@pytest.mark.parametrize("values", [IN_HUB, OWN], ids=["in the hub's pod", "of its own"])
def test_the_service_has_a_volume_of_its_own_whatever_database_the_hub_has(chart: Path, values: Values) -> None:
    hub = {**values.get("jupyterhub", {}).get("hub", {}), "db": {"type": "postgres", "url": "postgresql://db/hub"}}
    made = objects(chart, {**values, "jupyterhub": {"hub": hub}})
    name = "hub" if values is IN_HUB else "binder-service"
    pod = made["Deployment", name]["spec"]["template"]["spec"]
    [mount] = [mount for mount in pod["containers"][0]["volumeMounts"] if mount["mountPath"] == "/srv/binder"]
    [volume] = [volume for volume in pod["volumes"] if volume["name"] == mount["name"]]
    assert volume["persistentVolumeClaim"]["claimName"] == "binder-state"
    assert made["PersistentVolumeClaim", "binder-state"]["spec"]["resources"]["requests"] == {"storage": "5Gi"}
    assert ("PersistentVolumeClaim", "hub-db-dir") not in made


@needs_helm
def test_the_hubs_pod_has_the_values_and_logins_where_the_hub_looks_for_them(chart: Path) -> None:
    for values in (OWN, IN_HUB):
        pod = objects(chart, values)["Deployment", "hub"]["spec"]["template"]["spec"]
        [volume] = [volume for volume in pod["volumes"] if volume["name"] == "binder"]
        secrets = {source["secret"]["name"]: source["secret"].get("optional", False) for source in volume["projected"]["sources"]}
        assert secrets == {"binder-config": False, "binder-registry": True, "binder-database": True}
        assert {"name": "binder", "mountPath": "/etc/binder", "readOnly": True} in pod["containers"][0]["volumeMounts"]


@needs_helm
def test_the_user_that_zero_to_jupyterhub_gives_servers_is_the_one_that_the_hub_leaves_out(chart: Path) -> None:
    singleuser = yaml.safe_load(secret(objects(chart, OWN), "hub", "values.yaml"))["singleuser"]
    assert (singleuser["uid"], singleuser["fsGid"]) == (DEFAULT_USER_ID, 100)
    singleuser = yaml.safe_load(secret(objects(chart, {**OWN, "jupyterhub": {"singleuser": {"uid": 1001}}}), "hub", "values.yaml"))["singleuser"]
    assert singleuser["uid"] == 1001


# --- credentials -----------------------------------------------------------------------------------------------------------


@needs_helm
@pytest.mark.parametrize(
    ("prefix", "address"),
    [
        ("docker.io/example", "https://index.docker.io/v1/"),
        ("[fd00::1]:5000/a", "[fd00::1]:5000"),
        ("registry:5000/a/b", "registry:5000"),
        ("ghcr.io/example", "ghcr.io"),
    ],
)
def test_a_login_becomes_a_secret_that_the_service_and_nodes_both_read(chart: Path, prefix: str, address: str) -> None:
    made = objects(chart, {"registry": {**LOGIN, "prefix": prefix}})
    assert made["Secret", "binder-registry"]["type"] == "kubernetes.io/dockerconfigjson"
    auths = json.loads(secret(made, "binder-registry", ".dockerconfigjson"))["auths"]
    assert {name: base64.b64decode(entry["auth"]) for name, entry in auths.items()} == {address: b"me:secret of mine"}
    assert json.loads(secret(made, "binder-config", "values.json"))["pullSecret"] == "binder-registry"
    assert "secret of mine" not in secret(made, "binder-config", "values.json")


@needs_helm
@pytest.mark.parametrize("values", [IN_HUB, OWN], ids=["in the hub's pod", "of its own"])
def test_logins_of_git_servers_are_in_the_secret_with_the_services_values_and_nowhere_else(chart: Path, values: Values) -> None:
    logins = "https://me:secret-of-mine@git.example.org\n"
    made = objects(chart, {**values, "builder": {"gitCredentials": logins}})
    assert json.loads(secret(made, "binder-config", "values.json"))["builder"]["gitCredentials"] == logins
    del made["Secret", "binder-config"]["data"]["values.json"]
    texts = [
        json.dumps(list(made.values())),
        *(secret(made, name, key) for kind, name in made if kind == "Secret" for key in made[kind, name]["data"]),
    ]
    assert not [text for text in texts if "secret-of-mine" in text]


@needs_helm
def test_secrets_of_ones_own_are_used_by_name(chart: Path) -> None:
    values = {**OWN, "registry": {**REGISTRY, "existingSecret": "mine"}, "database": {"existingSecret": "theirs"}}
    made = objects(chart, values)
    assert {name for kind, name in made if kind == "Secret"} == {"hub", "binder-config"}
    volumes = made["Deployment", "binder-service"]["spec"]["template"]["spec"]["volumes"]
    assert [source["secret"]["name"] for source in volumes[0]["projected"]["sources"]] == ["binder-config", "mine", "theirs"]


@needs_helm
def test_a_registry_that_the_chart_brings_is_reached_by_nodes_and_by_pods_with_one_login(chart: Path) -> None:
    made = objects(chart, {"registry": {"inCluster": {"enabled": True, "nodePort": 30123}}})
    values = json.loads(secret(made, "binder-config", "values.json"))
    assert values["registry"]["prefix"] == "127.0.0.1:30123/binder"
    assert values["registry"]["endpoint"] == "http://binder-image-registry.binder.svc:5000"
    assert values["pullSecret"] == "binder-registry"
    [(host, entry)] = json.loads(secret(made, "binder-registry", ".dockerconfigjson"))["auths"].items()
    name, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
    assert (host, name, len(password)) == ("127.0.0.1:30123", "binder", 40)
    known, _, hashed = secret(made, "binder-registry", "htpasswd").partition(":")
    assert known == name
    assert bcrypt.checkpw(password.encode(), hashed.encode())
    service = made["Service", "binder-image-registry"]["spec"]
    assert service["ports"][0]["nodePort"] == 30123
    labels = made["Deployment", "binder-image-registry"]["spec"]["template"]["metadata"]["labels"]
    assert labels == service["selector"]
    for policy in ("binder-builds", "binder-service"):
        [way] = [rule for rule in made["NetworkPolicy", policy]["spec"]["egress"] if rule.get("ports", [{}])[0].get("port") == 5000]
        assert way["to"][0]["podSelector"]["matchLabels"] == labels
    assert ("Deployment", "binder-image-registry") not in objects(chart, OWN)


@needs_helm
def test_a_registry_that_the_chart_brings_may_have_what_an_operator_names(chart: Path) -> None:
    line = f"me:{bcrypt.hashpw(b'word', bcrypt.gensalt(4)).decode()}"
    own = {"enabled": True, "htpasswd": line, "existingClaim": "mine"}
    values: Values = {
        "registry": {**LOGIN, "password": "word", "inCluster": own},
        "service": {"apiToken": "a-token-of-ours"},
        "jupyterhub": {"proxy": {"secretToken": "ab" * 32}},
    }
    made = objects(chart, values)
    assert made == objects(chart, values), "the same values make the same text"
    assert secret(made, "binder-registry", "htpasswd") == line
    assert json.loads(secret(made, "binder-config", "values.json"))["registry"]["prefix"] == REGISTRY["prefix"]
    assert ("PersistentVolumeClaim", "binder-image-registry") not in made
    volumes = made["Deployment", "binder-image-registry"]["spec"]["template"]["spec"]["volumes"]
    assert volumes[0]["persistentVolumeClaim"] == {"claimName": "mine"}


# --- the service on its own --------------------------------------------------------------------------------------------------


@needs_helm
def test_a_service_of_its_own_runs_without_privileges_is_looked_after_and_keeps_its_state(chart: Path) -> None:
    made = objects(chart, {**OWN, "jupyterhub": {"hub": {"baseUrl": "/ours"}}})
    spec = made["Deployment", "binder-service"]["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}
    pod = spec["template"]["spec"]
    container = pod["containers"][0]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    paths = {probe: container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    prefix = "/ours/services/binder/"
    assert paths == {"startupProbe": f"{prefix}versions", "livenessProbe": f"{prefix}versions", "readinessProbe": f"{prefix}metrics"}
    assert made["Service", "binder-service"]["spec"]["publishNotReadyAddresses"], "it says why it is not ready"
    environment = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert environment["JUPYTERHUB_API_URL"] == "http://hub:8081/ours/hub/api"
    assert environment["JUPYTERHUB_API_TOKEN"] is None
    assert made["PodDisruptionBudget", "binder-service"]["spec"]["maxUnavailable"] == 1


@needs_helm
def test_a_service_of_its_own_has_all_that_an_operator_adds(chart: Path) -> None:
    service = {
        "extraEnv": {"HTTPS_PROXY": "http://proxy:3128", "NODE": {"valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}},
        "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/ca"}],
        "extraFiles": {"netrc": {"mountPath": "/home/jovyan/.netrc", "stringData": "machine a", "mode": 256}},
        "extraConfig": {"10-mine": "c.Limits.running = 3", "20-more": "c.Limits.per_user = 2"},
        "extraPodSpec": {"dnsPolicy": "Default"},
        "priorityClassName": "high",
        "tolerations": [{"key": "mine"}],
    }
    pulled = {"imagePullSecrets": [{"name": "a"}, "b"], "imagePullSecret": {"create": True}, "hub": {"image": {"pullSecrets": ["c"]}}}
    made = objects(chart, {**OWN, "service": service, "jupyterhub": pulled})
    pod = made["Deployment", "binder-service"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    environment = {entry.pop("name"): entry for entry in container["env"]}
    assert environment["HTTPS_PROXY"] == {"value": "http://proxy:3128"}
    assert environment["NODE"] == {"valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
    assert {"name": "ca", "configMap": {"name": "ca"}} in pod["volumes"]
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/etc/binder", "/srv/binder", "/ca", "/home/jovyan/.netrc"}
    assert made["Secret", "binder-files"]["stringData"] == {"netrc": "machine a"}
    assert secret(made, "binder-config", "extra_config.py").count("c.Limits.") == 2
    assert (pod["dnsPolicy"], pod["priorityClassName"]) == ("Default", "high")
    assert [one["value"] for one in pod["tolerations"] if "value" in one] == ["core", "core"]
    assert {"key": "mine"} in pod["tolerations"]
    assert [one["name"] for one in pod["imagePullSecrets"]] == ["image-pull-secret", "a", "b", "c"]


@needs_helm
@pytest.mark.parametrize(
    "changed",
    [{"config": {"Limits": {"running": 3}}}, {"service": {"extraConfig": {"a": "b"}}}, {"builder": {"resources": {"limits": {"cpu": 3}}}}],
    ids=json.dumps,
)
def test_a_changed_value_restarts_the_service_and_leaves_the_hub_alone(chart: Path, changed: Values) -> None:
    given = {**OWN, "service": {"apiToken": "a-token-of-ours"}, "jupyterhub": {"proxy": {"secretToken": "ab" * 32}}}
    before, after = objects(chart, given), objects(chart, {**given, **changed, "service": {**given["service"], **changed.get("service", {})}})
    assert before["Deployment", "binder-service"] != after["Deployment", "binder-service"]
    assert before["Deployment", "hub"] == after["Deployment", "hub"]


@needs_helm
def test_the_same_values_with_tokens_make_the_same_text_twice(chart: Path) -> None:
    given = {**OWN, "service": {"apiToken": "a-token-of-ours"}, "jupyterhub": {"proxy": {"secretToken": "ab" * 32}}}
    assert template(chart, given) == template(chart, given)


@needs_helm
def test_the_services_token_is_random_unless_it_is_given(chart: Path) -> None:
    tokens = {secret(objects(chart, OWN), "binder-config", "service-token") for _ in range(2)}
    assert {len(token) for token in tokens} == {64}
    assert len(tokens) == 2
    given = objects(chart, {**OWN, "service": {"apiToken": "a-token-of-ours"}})
    assert secret(given, "binder-config", "service-token") == "a-token-of-ours"


@needs_helm
@pytest.mark.parametrize("values", [IN_HUB, OWN], ids=["in the hub's pod", "of its own"])
def test_prometheus_is_told_where_the_metrics_are(chart: Path, values: Values) -> None:
    made = objects(chart, {**values, "monitoring": {"serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}}})
    monitor = made["ServiceMonitor", "binder"]
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    service = made["Service", "binder-service"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"][0]["port"] in {port.get("name") for port in service["spec"]["ports"]}


@needs_helm
def test_the_dashboard_asks_for_metrics_that_there_are(chart: Path) -> None:
    made = objects(chart, {**OWN, "monitoring": {"grafanaDashboard": {"enabled": True}}})
    dashboard = json.loads(made["ConfigMap", "binder-dashboard"]["data"]["binder.json"])
    text = "".join((Path(CHART).parent / path).read_text() for path in ("binderhub_service/monitoring/metrics.py", "spawner/kubernetes/pulls.py"))
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            words = target["expr"].replace("(", " ").replace("[", " ").replace(")", " ").split()
            [name] = [word for word in words if word.startswith(("binder_", "process_"))]
            known = name.removesuffix("_total").removesuffix("_bucket").removesuffix("_count")
            assert known.startswith("process_") or known in text or f'"{known.removeprefix("binder_")}"' in text, name


# --- what people read ----------------------------------------------------------------------------------------------------------


def notes(chart: Path, values: Values) -> str:
    """Return what helm says after an install, which `helm template` says of other templates only."""
    if not (chart / "templates" / "notes.yaml").exists():
        (chart / "NOTES.txt").write_text((chart / "templates" / "NOTES.txt").read_text())
        template_of_notes = '{kind: Notes, metadata: {name: notes, labels: {}}, text: {{ tpl (.Files.Get "NOTES.txt") . | toJson }}}'
        (chart / "templates" / "notes.yaml").write_text(template_of_notes)
    text: str = objects(chart, values)["Notes", "notes"]["text"]
    return text


@needs_helm
def test_the_notes_say_how_to_reach_it_and_what_is_missing(tmp_path: Path) -> None:
    chart = packed(tmp_path)
    bare = notes(chart, OWN)
    assert "port-forward service/proxy-public" in bare
    for words in ("The registry has no login", "builder.image.name is binderspawner-builder", "everybody may sign in as anybody"):
        assert words in bare
    github = {"JupyterHub": {"authenticator_class": "github"}}
    hub = {"image": {"name": "r/h"}, "config": {**github, "GitHubOAuthenticator": {"client_id": "x", "client_secret": "y", "allowed_users": ["me"]}}}
    complete = {"builder": {"image": {"name": "r/b"}}, "jupyterhub": {"hub": hub}, "registry": LOGIN}
    assert "What is missing" not in notes(chart, complete)
    without = notes(chart, {**complete, "jupyterhub": {"hub": {**hub, "config": github}}})
    for name in ("client_id", "client_secret"):
        assert f"jupyterhub.hub.config.GitHubOAuthenticator.{name} is not set" in without
    assert "everybody may sign in as anybody" not in notes(chart, {**OWN, "public": True})
    assert "says nobody who may sign in: set GitHubOAuthenticator.allowed_users" in without
    proxied = {**complete, "builder": {"image": {"name": "r/b"}, "extraEnv": {"HTTPS_PROXY": "http://me:word@proxy:3128"}}}
    assert "registry.password still has its placeholder" in notes(chart, {**complete, "registry": {**LOGIN, "password": "REPLACE-with-a-token"}})
    assert "builder.extraEnv.HTTPS_PROXY has a login, which every build can read." in notes(chart, proxied)
    assert "the code of strangers" in notes(chart, {**complete, "networkPolicy": {"enabled": False}})
    assert "secret of mine" not in notes(chart, complete)
