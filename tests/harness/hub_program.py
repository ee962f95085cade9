"""JupyterHub as `make run` starts it, but for its help: to tell there of all modes and logins that are installed, a hub imports them at each start.

That takes most of a second of a processor. What a hub's configuration names is imported as ever.
"""

from __future__ import annotations

import sys

sys.path.pop(0)  # this folder

from binderhub_service.common import quick_imports

quick_imports.install()

from jupyterhub.app import JupyterHub  # noqa: E402
from jupyterhub.auth import Authenticator  # noqa: E402
from jupyterhub.crypto import CryptKeeper  # noqa: E402
from jupyterhub.spawner import Spawner  # noqa: E402


def classes_of_any_hub(_: JupyterHub) -> list[type]:
    """Return the classes that a hub knows before it reads which ones are to be used."""
    return [Spawner, Authenticator, CryptKeeper]


if __name__ == "__main__":
    JupyterHub._load_classes.func = classes_of_any_hub
    JupyterHub.launch_instance()
