"""repo2docker's buildpack for Python without conda, which is not to be had everywhere.

Everything else is its own: what it finds, the Dockerfile that it writes, the order of its steps, how a container is started.
"""

from __future__ import annotations

from repo2docker.buildpacks.base import BaseImage
from repo2docker.buildpacks.python import PythonBuildPack

PREFIX = "/srv/notebook"


class EnvironmentBuildPack(PythonBuildPack):
    """Python as repo2docker sets it up, in a virtual environment over the base image's Jupyter instead of a conda environment."""

    def get_build_env(self) -> list[tuple[str, str]]:
        """Return the variables with which is built."""
        return [*BaseImage.get_build_env(self), ("NB_PYTHON_PREFIX", PREFIX), ("KERNEL_PYTHON_PREFIX", PREFIX)]

    def get_env(self) -> list[tuple[str, str]]:
        """Return no variables of conda's."""
        return []

    def get_path(self) -> list[str]:
        """Return where programs are looked for."""
        return [f"{PREFIX}/bin"]

    def get_build_script_files(self) -> dict[str, str]:
        """Return no files of conda's."""
        return {}

    def get_build_scripts(self) -> list[tuple[str, str]]:
        """Return what makes the environment; a login's shell, which containers are started by, finds its programs as conda's."""
        packages = f"echo /opt/venv/lib/python3.*/site-packages > $(echo {PREFIX}/lib/python3.*/site-packages)/jupyter.pth"
        login = f"echo 'PATH={PREFIX}/bin:$PATH' > /etc/profile.d/notebook.sh"
        return [("root", f"/opt/uv/bin/uv venv --quiet --no-cache --seed {PREFIX} && {packages} && {login} && chown -R ${{NB_USER}} {PREFIX}")]
