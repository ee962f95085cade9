"""Making an environment with uv: what is installed, and by which programs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from ...common.private import private_folder
from ...common.repo_environment import IMAGE_HOME, repo_variables, system_user
from ...common.server_program import SINGLEUSER
from ...errors import BuildFailed
from ...images.layout import UV_CACHE
from ...images.trees import make_writable
from ..definition import Definition
from ..environment_job import EnvironmentSettings
from ..guards import Guard, disk_full
from ..job import Job
from ..reporter import Reporter
from .bytecode import take_over
from .definition_folder import files_rewritten, write_files_alone
from .install_errors import install_error, python_error
from .packages_from_git import notes_on_pointers
from .script_errors import why_script_failed
from .server_trial import ServerTrial
from .uv import uv_environment
from .uv_output import UvOutput

FLOORS = ("jupyterlab>=4", "jupyter-server>=2")
"""What a server needs at least: with less, a hub of today cannot start it."""
# What builds a package that only has a setup.py.
_BACKEND = ("setuptools", "wheel")
_NO_SPACE = re.compile(r"No space left on device|os error 28", re.IGNORECASE)


def aside_of(content: Path) -> Path:
    """Return the folder, beside the checkout, of what a build needs for itself."""
    return content.with_name("aside")


class Installer:
    """Makes one environment with uv, at the path where it will stay.

    Args:
        content: the commit's checkout.
        prefix: that path.
        environment: what a build may see.
    """

    def __init__(self, job: Job, definition: Definition, content: Path, prefix: Path, reporter: Reporter, environment: Mapping[str, str]) -> None:
        self._job = job
        self._settings = EnvironmentSettings(**job.settings)
        self._definition = definition
        self._content = content
        self._prefix = prefix
        self._reporter = reporter
        self._guard = Guard(job.limits, Path(job.root))
        self._environment = dict(environment) | {
            "VIRTUAL_ENV": str(prefix),
            "PATH": f"{prefix / 'bin'}:{environment.get('PATH', os.defpath)}",
            "UV_NO_PROGRESS": "1",
        }
        aside = aside_of(content)
        if definition.tied_to_commit:
            self._folder = content
        else:  # what is shared is made of what is in its key, so uv sees nothing else of the repository
            self._folder = write_files_alone(definition, content, aside / "definition")
        aside.mkdir(exist_ok=True)
        self._floors = aside / "floors.txt"
        self._floors.write_text("\n".join(FLOORS), encoding="utf-8")
        self._versions = aside / "versions.txt"
        self._versions.write_text("\n".join(definition.versions), encoding="utf-8")
        self._for_uv = uv_environment(self._environment, aside, private_folder(Path(job.root) / UV_CACHE))
        if definition.post_build:  # a linked file would be the cache's own, and what a script writes to it would be in all environments
            self._for_uv["UV_LINK_MODE"] = "copy"

    def install(self, others: Sequence[Path]) -> ServerTrial:
        """Make the environment, with what bytecode others have of the same files; return what tries it. Raises `BuildFailed`."""
        if self._folder == self._content:
            with files_rewritten(self._definition, self._content):
                self._install_requirements()
        else:
            self._install_requirements()
        for note in notes_on_pointers(self._prefix):
            self._reporter.log(note)
        if self._definition.post_build:
            make_writable(self._prefix)
        has_bytecode = take_over(self._prefix, others) > 0  # now, so that Python starts quickly in the script as well
        if self._definition.post_build:
            before = self._programs()
            self._post_build(self._definition.post_build)
            if lost := before - self._programs():
                raise BuildFailed(
                    f"The script {self._definition.post_build} has removed {' and '.join(sorted(lost))}, without which no server starts.",
                    code="no_singleuser",
                    hint="Leave Python and jupyterhub in the environment.",
                )
        # What a repository brings is in no package's record.
        of_packages = not self._definition.post_build and not self._definition.tied_to_commit
        return ServerTrial(self._prefix, self._reporter, self._guard, self._environment, has_bytecode=has_bytecode, of_packages=of_packages)

    def _programs(self) -> set[str]:
        """Return those of the programs that start a server that can be run."""
        return {name for name in ("python", SINGLEUSER) if os.access(self._prefix / "bin" / name, os.X_OK)}

    def _install_requirements(self) -> None:
        python = self._definition.python or self._settings.python
        self._uv(partial(python_error, python), "venv", "--python", python, "--prompt", "binder", str(self._prefix))
        if self._definition.locked:
            project = self._folder / self._definition.folder
            self._uv(install_error, "sync", "--frozen", "--active", "--project", str(project))
        if self._definition.pylock:  # uv takes nothing else beside it
            python = str(self._prefix / "bin" / "python")
            self._uv(install_error, "pip", "install", "--python", python, "-r", self._definition.pylock)
        wanted, definition = self._wanted(), self._definition
        alone: tuple[str, ...] = ("--prerelease", "allow") if definition.early else ()  # of what a server needs, nobody asked for early versions
        if definition.versions and not definition.all_of_lock:
            alone += ("--constraint", str(self._versions))
        # Hashes must be given for everything that is installed with what has one. A lock's versions hold unless a server needs others.
        if alone or definition.versions or any(b"--hash=" in content for content in definition.files.values()):
            self._pip_install(wanted, *alone)
            wanted = ()
        self._pip_install((*wanted, *self._settings.base), *self._packages_at_hand())
        if self._definition.in_place:
            self._pip_install(_BACKEND)
            self._pip_install(("--no-build-isolation", "."))

    def _packages_at_hand(self) -> tuple[str, ...]:
        """Return the options by which packages of this machine are taken; a repository that names JupyterHub has it as it is published."""
        folder = self._settings.packages
        if not folder or not Path(folder).is_dir() or self._definition.mentions("jupyterhub"):  # uv fails at a folder that was removed meanwhile
            return ()
        links = [*self._for_uv.get("UV_FIND_LINKS", "").split(","), Path(folder).as_uri()]
        return tuple(word for link in links if link for word in ("--find-links", link))

    def _wanted(self) -> tuple[str, ...]:
        definition = self._definition
        requirements = ("-r", definition.requirements) if definition.requirements else ()
        if definition.locked:
            return requirements
        if definition.all_of_lock:
            return (*requirements, "-r", str(self._versions))
        if definition.package and not definition.in_place:
            return (*requirements, ".")
        return (*requirements, "-r", definition.project) if definition.project else requirements

    def _pip_install(self, what: Sequence[str], *more: str) -> None:
        indexes = [word for url, default in self._definition.indexes for word in ("--default-index" if default else "--index", url)]
        python = str(self._prefix / "bin" / "python")
        options = ("--constraint", str(self._floors), "--index-strategy", self._settings.index_strategy, *indexes, *more)
        self._uv(install_error, "pip", "install", "--python", python, *options, *what)

    def _uv(self, error_from: Callable[[str], BuildFailed], *arguments: str) -> None:
        command = (self._settings.uv, "--color", "always", *arguments)
        output = UvOutput()
        finished = self._reporter.run(command, cwd=self._folder, environment=self._for_uv, guard=self._guard, translate=output.lines)
        if finished.status:
            said = output.said(finished.tail)
            raise disk_full() if _NO_SPACE.search(said) else error_from(said)

    def _post_build(self, script: str) -> None:
        self._reporter.log(f"Running {script}")
        path = self._content / script
        path.chmod(path.stat().st_mode | 0o111)
        command = (str(path),) if path.read_bytes().startswith(b"#!") else ("bash", str(path))
        try:
            finished = self._reporter.run(command, cwd=self._content, environment=self._for_scripts(), guard=self._guard)
        except (FileNotFoundError, PermissionError) as error:
            raise BuildFailed(
                f"The script {script} cannot be started.", code="post_build_failed", hint="Correct its first line: the program it names is not here."
            ) from error
        if finished.status and _NO_SPACE.search(finished.tail):
            raise disk_full()
        if finished.status:
            why = why_script_failed(path.read_bytes(), finished.tail) or "The end of the log says why; correct the script."
            raise BuildFailed(f"The script {script} failed with exit status {finished.status}.", code="post_build_failed", hint=why)

    def _for_scripts(self) -> dict[str, str]:
        """Return the environment of the repository's scripts, with a home that becomes part of what is made."""
        home = self._prefix / IMAGE_HOME
        home.mkdir(exist_ok=True)
        kept = {name: value for name, value in self._environment.items() if not name.startswith("XDG_")}
        return kept | repo_variables(self._prefix, self._content, system_user()) | {"HOME": str(home)}
