"""An image as a directory: the commit's checkout and a uv environment, made or found, published together."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from ...common import quick_imports
from ...common.private import private_folder
from ...common.repo_environment import IMAGE_HOME, repo_variables, script_problem, system_user
from ...common.server_program import SINGLEUSER, server_command
from ...common.terminal import plain
from ...errors import BuildFailed
from ...images.layout import MADE, MANIFEST, UV_CACHE
from ...images.locks import locked
from ...images.trees import make_read_only, make_writable
from ...models import Phase
from ..definition import Definition
from ..environment_job import EnvironmentSettings
from ..environments import definition_in
from ..guards import Guard, disk_full, size_of
from ..job import Job, write_in_one_step
from ..reporter import Reporter
from .bytecode import take_over
from .content import fetch
from .definition_folder import files_rewritten, write_files_alone
from .editables import import_roots
from .install_errors import install_error, python_error
from .script_errors import why_script_failed
from .tried import files_mark, is_tried, note_tried
from .uv import uv_environment
from .uv_output import UvOutput

SIZE = ".size.json"
FLOORS = ("jupyterlab>=4", "jupyter-server>=2")
"""What a server needs at least: with less, a hub of today cannot start it."""
_SHOWN_CHARACTERS = 300
# Of so many environments bytecode is taken over: those before are of other versions, if they differ.
_NEWEST = 3
# The last is for kernels: they import quick_imports' library as it is.
_IMPORTED_LATER = "import jupyterlab.labapp, jupyterlab.extensions, jupyter_lsp.serverextension, ipykernel.kernelapp, lark\n"
# What builds a package that only has a setup.py.
_BACKEND = ("setuptools", "wheel")
_NO_SPACE = re.compile(r"No space left on device|os error 28", re.IGNORECASE)


@dataclass(frozen=True)
class _Publication:
    """A directory that is made aside, and the link that leads there once it is complete."""

    link: Path
    made: Path

    @classmethod
    def of(cls, folder: Path, name: str, build_id: str) -> _Publication:
        (folder / MADE).mkdir(parents=True, exist_ok=True)
        return cls(link=folder / name, made=folder / MADE / f"{name}.{build_id}")

    def newest_of_others(self) -> list[Path]:
        """Return the directories that the newest links lead to, the newest first; none in which a script of a repository ran."""
        links = [link for link in self.link.parent.iterdir() if link.is_symlink() and not (link / IMAGE_HOME).exists()]
        return [link.resolve() for link in sorted(links, key=_made_at, reverse=True)[:_NEWEST]]

    def publish(self) -> None:
        """Let the link lead to what was made, in one step; what it led to before stays where it is."""
        aside = self.made.with_name(self.made.name + ".link")
        aside.unlink(missing_ok=True)
        aside.symlink_to(self.made)
        aside.replace(self.link)


def _made_at(link: Path) -> float:
    """Return when a link was made; long ago if it is gone."""
    try:
        return link.lstat().st_mtime
    except OSError:
        return 0


def make_image(job: Job, reporter: Reporter, environment: Mapping[str, str]) -> None:
    """Make the job's image; when this returns, it is there.

    Raises:
        BuildFailed: it cannot be made; nothing half made is left.
    """
    image = _Publication.of(Path(job.root) / "images", job.image, job.build_id)
    content = image.made / "content"
    try:
        reporter.phase(Phase.FETCHING, "Fetching the repository")
        notes = fetch(job, content, reporter, environment)
        definition = definition_in(content)
        _check_scripts(definition, content)
        reporter.phase(Phase.BUILDING, "Making the environment")
        key = definition.key(job.image, EnvironmentSettings(**job.settings).as_text())
        publication = _Publication.of(Path(job.root) / "environments", key, job.build_id)
        with locked(publication.made.parent, key, lambda: reporter.log("Waiting for another build that is making the same environment.")):
            prefix = _environment(job, definition, content, publication, reporter, environment)
            write_in_one_step(image.made / MANIFEST, _manifest(job, definition, content, key, prefix) | {"notes": [*notes, *definition.notes]})
            image.publish()
    except OSError as error:
        shutil.rmtree(image.made, ignore_errors=True)
        if error.errno == errno.ENOSPC:
            raise disk_full() from error
        raise
    except BuildFailed:
        shutil.rmtree(image.made, ignore_errors=True)
        raise


def _manifest(job: Job, definition: Definition, content: Path, key: str, prefix: Path) -> dict[str, str | int | list[str] | None]:
    return {
        "environment": str(prefix),
        "key": key,
        "content": str(content),
        "content_bytes": size_of(content),
        "environment_bytes": json.loads((prefix / SIZE).read_text())["bytes"],
        "start": definition.start,
        "import_from": import_roots(prefix, content),
        "repo": job.url,
        "ref": job.ref,
        "commit": job.commit,
    }


def _environment(
    job: Job, definition: Definition, content: Path, publication: _Publication, reporter: Reporter, environment: Mapping[str, str]
) -> Path:
    """Return the path of the environment, made now unless an equal one is there."""
    _report_what_was_found(definition, content, reporter)
    if (publication.link / "bin" / "python").exists() and not job.force and not definition.tied_to_commit:
        reporter.log(f"Found the environment {publication.link.name}; nothing to install.")
        return publication.link.resolve()
    try:
        _Installer(job, definition, content, publication.made, reporter, environment).install(publication.newest_of_others())
        write_in_one_step(publication.made / SIZE, {"bytes": size_of(publication.made)})
    except BuildFailed:
        shutil.rmtree(publication.made, ignore_errors=True)
        raise
    finally:
        shutil.rmtree(_aside(content), ignore_errors=True)
    make_read_only(publication.made)
    publication.publish()
    return publication.made


def _check_scripts(definition: Definition, content: Path) -> None:
    """Raise `BuildFailed` if a script of the repository cannot run on this system."""
    for name in filter(None, (definition.post_build, definition.start)):
        problem = script_problem(name, (content / name).read_bytes())
        if problem:
            raise BuildFailed(problem[0], code="script_invalid", hint=problem[1])


def _aside(content: Path) -> Path:
    """Return the folder, beside the checkout, of what a build needs for itself."""
    return content.with_name("aside")


def _report_what_was_found(definition: Definition, content: Path, reporter: Reporter) -> None:
    files = ", ".join(definition.files) or "nothing, so it is a plain JupyterLab"
    reporter.log(f"The environment is described by {files}.")
    if (content / "uv.toml").exists():
        reporter.log("The file uv.toml is not read; name package indexes in requirements.txt or in pyproject.toml.")
    for note in definition.notes:
        reporter.log(note)
    if definition.tied_to_commit:
        reporter.log(f"It belongs to this commit alone: {definition.tied_to_commit}.")
    else:
        reporter.log("It is shared by all commits that describe it the same way: nothing in it depends on the rest of the repository.")


class _Installer:
    """Makes one environment with uv, at the path where it will stay."""

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
        aside = _aside(content)
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

    def install(self, others: Sequence[Path]) -> None:
        """Make the environment, with what bytecode others have of the same files; raises `BuildFailed`."""
        if self._folder == self._content:
            with files_rewritten(self._definition, self._content):
                self._install_requirements()
        else:
            self._install_requirements()
        if self._definition.post_build:
            make_writable(self._prefix)
        taken = take_over(self._prefix, others)  # now, so that Python starts quickly in the script as well
        if self._definition.post_build:
            self._post_build(self._definition.post_build)
        self._try_unless_tried(others, taken)

    def _try_unless_tried(self, others: Sequence[Path], taken: int) -> None:
        """Try whether a server starts, unless that is known of an environment with the same files, whose bytecode this one has."""
        if self._definition.post_build or self._definition.tied_to_commit:  # what a repository brings is in no package's record
            self._try_server(complete=not taken)
            return
        mark = files_mark(self._prefix)
        if taken and is_tried(mark, others):
            self._reporter.log("A server starts from another environment with the same files, so that is not tried again.")
        else:
            self._try_server(complete=not taken)
        note_tried(self._prefix, mark)

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
        self._pip_install((*wanted, *self._settings.base))
        if self._definition.in_place:
            self._pip_install(_BACKEND)
            self._pip_install(("--no-build-isolation", "."))

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

    def _try_server(self, *, complete: bool) -> None:
        """Run the server's program once, so that what is ready also starts; its bytecode is made by that, too.

        Args:
            complete: also import what a server imports only when it serves, and a kernel; nobody can keep bytecode of it later.
        """
        if not (self._prefix / "bin" / SINGLEUSER).exists():
            return
        with TemporaryDirectory(dir=self._prefix) as home:
            environment = self._environment | {"HOME": home, "JUPYTER_CONFIG_DIR": home, "JUPYTERHUB_SINGLEUSER_APP": "jupyter_server"}
            finished = self._reporter.run((*server_command(self._prefix), "--version"), cwd=Path(home), environment=environment, guard=self._guard)
            if complete and not finished.status:
                later = Path(home, "later.py")
                later.write_text(_IMPORTED_LATER, encoding="utf-8")
                command = (str(self._prefix / "bin" / "python"), quick_imports.__file__, str(later))
                self._reporter.run(command, cwd=Path(home), environment=environment, guard=self._guard, translate=_nothing)
        if finished.status:
            last = plain(finished.tail.strip().rpartition("\n")[2])[:_SHOWN_CHARACTERS]
            raise BuildFailed(
                f"The environment is made, but no server starts in it. Its program said: {last.rstrip('.')}.",
                code="no_singleuser",
                hint="A requirement may be too old or too new for JupyterLab; loosen its version.",
            )


def _nothing(_: str) -> list[str]:
    """Keep a line out of the log."""
    return []
