"""A JupyterHub for one person on their own machine: name a repository, land in a server made from it.

`make run` starts it and prints a link that signs in. By hand, with configurable-http-proxy on PATH:

    jupyterhub -f jupyterhub_config.py
    python -m binderhub_service.common.one_time_token .state/signin      prints a token for http://127.0.0.1:8000/hub/login?token=...
"""

import os
from pathlib import Path

from spawner import configure
from spawner.signin import OneTimeLinkAuthenticator

c = get_config()  # noqa: F821  given by JupyterHub

port = int(os.environ.get("PORT", "8000"))
state = Path(os.environ.get("STATE", ".state")).absolute()
state.mkdir(mode=0o700, parents=True, exist_ok=True)

# Nothing listens beyond this machine.
c.JupyterHub.bind_url = f"http://127.0.0.1:{port}"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{port + 1}"
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{port + 2}"

# Whatever the hub remembers is in the state directory.
c.JupyterHub.db_url = f"sqlite:///{state}/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = str(state / "jupyterhub_cookie_secret")
c.ConfigurableHTTPProxy.pid_file = str(state / "jupyterhub-proxy.pid")

# One person, who signs in by a link that works once; or everybody, with a temporary user for each server.
public = bool(os.environ.get("PUBLIC"))
if not public:
    c.JupyterHub.authenticator_class = OneTimeLinkAuthenticator
    c.OneTimeLinkAuthenticator.token_file = str(state / "signin")

# Servers from repositories, and no others: as processes (embedded mode), or as containers (docker mode, where the hub listens to containers, too).
mode, registry = os.environ.get("MODE", "embedded"), os.environ.get("REGISTRY", "")
legacy = {"binder_build": True, "registry": True, "boatyard": True} if os.environ.get("LEGACY") else {}
# Nobody's login stands between a public hub and a foreign site's page whose name leads here, so servers start under this machine's names alone.
hosts = [name for name in os.environ.get("HOSTS", "localhost").split(",") if name] if public else []
# Who runs this as root has been told what that means (scripts/run.py).
settings = {"as_root": True, "service_port": port + 3, "service": {"LegacyApis": legacy, "Server": {"hosts": hosts}}}
configure(c, state_dir=state, mode=mode, registry=registry, public=public, required=True, **settings)
