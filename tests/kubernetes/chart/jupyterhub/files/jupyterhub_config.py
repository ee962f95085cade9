"""Sets what zero-to-jupyterhub sets, in its order, as far as tests look at it."""
# ruff: noqa: F821  JupyterHub gives c

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from z2jh import get_config, get_name, get_secret_value, set_config_if_not_none

c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
c.ConfigurableHTTPProxy.api_url = f"http://{get_name('proxy-api')}:8001"
c.ConfigurableHTTPProxy.should_start = False
c.JupyterHub.cleanup_servers = False
c.JupyterHub.last_activity_interval = 60
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}
c.JupyterHub.db_url = "sqlite:///jupyterhub.sqlite" if get_config("hub.db.type") == "sqlite-pvc" else get_config("hub.db.url") or "sqlite://"
for trait, key in {
    "concurrent_spawn_limit": "concurrentSpawnLimit",
    "active_server_limit": "activeServerLimit",
    "base_url": "baseUrl",
    "allow_named_servers": "allowNamedServers",
    "named_server_limit_per_user": "namedServerLimitPerUser",
    "template_paths": "templatePaths",
    "template_vars": "templateVars",
}.items():
    set_config_if_not_none(c.JupyterHub, trait, f"hub.{key}")
c.JupyterHub.hub_bind_url = "http://:8081"
c.JupyterHub.hub_connect_url = f"http://{get_name('hub')}:8081"

c.KubeSpawner.common_labels = {"app": "jupyterhub", "component": "singleuser-server", "release": get_config("Release.Name")}
c.KubeSpawner.namespace = os.environ["POD_NAMESPACE"]
set_config_if_not_none(c.Spawner, "consecutive_failure_limit", "hub.consecutiveFailureLimit")
for trait, key in {
    "start_timeout": "startTimeout",
    "image_pull_policy": "image.pullPolicy",
    "events_enabled": "events",
    "extra_labels": "extraLabels",
    "extra_annotations": "extraAnnotations",
    "uid": "uid",
    "fs_gid": "fsGid",
    "node_selector": "nodeSelector",
    "init_containers": "initContainers",
    "extra_containers": "extraContainers",
    "mem_limit": "memory.limit",
    "mem_guarantee": "memory.guarantee",
    "cpu_limit": "cpu.limit",
    "cpu_guarantee": "cpu.guarantee",
    "environment": "extraEnv",
    "profile_list": "profileList",
}.items():
    set_config_if_not_none(c.KubeSpawner, trait, f"singleuser.{key}")
c.KubeSpawner.image = f"{get_config('singleuser.image.name')}:{get_config('singleuser.image.tag')}"

if get_config("singleuser.storage.type") == "dynamic":
    volume = get_config("singleuser.storage.dynamic.volumeNameTemplate")
    set_config_if_not_none(c.KubeSpawner, "pvc_name_template", "singleuser.storage.dynamic.pvcNameTemplate")
    c.KubeSpawner.storage_pvc_ensure = True
    set_config_if_not_none(c.KubeSpawner, "storage_class", "singleuser.storage.dynamic.storageClass")
    set_config_if_not_none(c.KubeSpawner, "storage_access_modes", "singleuser.storage.dynamic.storageAccessModes")
    set_config_if_not_none(c.KubeSpawner, "storage_capacity", "singleuser.storage.capacity")
    c.KubeSpawner.volumes = [{"name": volume, "persistentVolumeClaim": {"claimName": "{pvc_name}"}}]
    c.KubeSpawner.volume_mounts = [{"mountPath": get_config("singleuser.storage.homeMountPath"), "name": volume}]
c.KubeSpawner.volumes.extend(get_config("singleuser.storage.extraVolumes", []))
c.KubeSpawner.volume_mounts.extend(get_config("singleuser.storage.extraVolumeMounts", []))

c.JupyterHub.services = []
for name, service in get_config("hub.services", {}).items():
    service.pop("apiToken", None)
    c.JupyterHub.services.append({"name": name, **service, "api_token": get_secret_value(f"hub.services.{name}.apiToken")})
c.JupyterHub.load_roles = [{"name": name, **role} for name, role in get_config("hub.loadRoles", {}).items()]
set_config_if_not_none(c.Spawner, "cmd", "singleuser.cmd")
set_config_if_not_none(c.Spawner, "default_url", "singleuser.defaultUrl")

for section, traits in get_config("hub.config", {}).items():
    c[section].update(traits)
for _, code in sorted(get_config("hub.extraConfig", {}).items()):
    exec(code)
