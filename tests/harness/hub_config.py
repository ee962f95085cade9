"""The `jupyterhub_config.py` of a hub of the tests: one with people in it, to which `configure` adds everything of ours."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.harness.ports import free_ports

PEOPLE = ("alice", "bob", "eve")
ADMIN = "root-admin"
PASSWORD = "password of everybody"
ADMIN_PASSWORD = "password of the administrator, which has to be long"

# The service's settings for what is in environments: by default JupyterLab, as without a setting.
_JUPYTERHUB = f"jupyterhub=={version('jupyterhub')}"
WITH_LAB = {"EmbeddedMode": {"base_requirements": [_JUPYTERHUB, "jupyterlab", "pip"]}}
# For hubs whose servers run code, and show nobody a page of JupyterLab: a third of the files.
WITH_KERNEL = {"EmbeddedMode": {"base_requirements": [_JUPYTERHUB, "jupyter-server", "ipykernel", "pip"]}}
# For hubs of one test whose servers nobody looks into: they take half as long to be made and to start.
WITHOUT_LAB = {"EmbeddedMode": {"base_requirements": [_JUPYTERHUB, "jupyter-server", "pip"]}}

TEMPLATE = """\
from jupyterhub.services.service import _ServiceSpawner

from spawner import configure

c = get_config()  # noqa: F821
# The hub starts a service again that has ended; it looks every two seconds, and not every thirty. There is no setting for it.
_ServiceSpawner.poll_interval = 2
c.JupyterHub.bind_url = "http://127.0.0.1:{port}{base_url}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{hub_port}"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_port}"
c.JupyterHub.db_url = "sqlite:///hub.sqlite"
c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = "{password}"
c.SharedPasswordAuthenticator.admin_password = "{admin_password}"
c.Authenticator.allowed_users = {people!r}
c.Authenticator.admin_users = {admins!r}
c.JupyterHub.services = [{{"name": "harness", "api_token": "{token}", "admin": True}}]
# A request to start a server is answered after a second at most, before the quickest has started, and not after up to ten.
c.JupyterHub.tornado_settings = {{"slow_spawn_timeout": 1}}
outsiders = {outsiders!r}
if outsiders:
    c.JupyterHub.load_roles = [{{"name": "user", "scopes": ["self"]}}]
configure(c, state_dir="{state}", **{more!r})
if outsiders:
    # What `configure` gives to everybody, only the others have, and who is put into a group; outsiders may use the hub but not the service.
    user = c.JupyterHub.load_roles[0]
    given = [scope for scope in user["scopes"] if scope != "self"]
    user["scopes"] = ["self"]
    c.JupyterHub.load_roles.append({{"name": "insiders", "scopes": given, "users": sorted({people!r} - outsiders), "groups": ["insiders"]}})
    c.JupyterHub.load_groups = {{"insiders": {{"users": []}}}}

{extra}
"""


def write_config(directory: Path, *, base_url: str, outsiders: set[str], extra: str, more: Mapping[str, Any] | None = None) -> tuple[Path, str, str]:
    """Write the configuration into `directory`; return its file, the hub's public URL and a token of an administrator.

    Args:
        more: arguments of `configure`.
    """
    port, hub_port, proxy_port = free_ports(3)
    token = secrets.token_hex(16)
    text = TEMPLATE.format(
        port=port,
        hub_port=hub_port,
        proxy_port=proxy_port,
        base_url=base_url,
        password=PASSWORD,
        admin_password=ADMIN_PASSWORD,
        people=set(PEOPLE),
        admins={ADMIN},
        token=token,
        state=directory / "state",
        outsiders=outsiders,
        extra=extra,
        more=_for_tests(more or {}),
    )
    file = directory / "jupyterhub_config.py"
    file.write_text(text)
    return file, f"http://127.0.0.1:{port}{base_url}".rstrip("/"), token


def _for_tests(more: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments of `configure` by which all servers are from repositories, and a commit is seen by the next request after it was pushed."""
    service = {**(WITH_LAB if more.get("mode", "embedded") == "embedded" else {}), **more.get("service", {})}
    return {"required": True, "as_root": True, **more, "service": {**service, "Limits": {"ref_seconds": 0, **service.get("Limits", {})}}}
