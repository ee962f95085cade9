"""An image by repo2docker: built under a name that nobody launches from, named, pushed, and tried.

What replaces an image is tried first, and an environment that others will stand on gets its name last.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ... import names
from ...clients.credentials import Credentials
from ...clients.engine import Engine, EngineError
from ...common import labels
from ...errors import BinderError, BuildFailed, Unavailable
from ...images.build_artifacts import BuildArtifacts
from ...images.locks import locked
from ...models import Phase
from ..definition import Definition
from ..docker_job import DockerSettings
from ..guards import Guard
from ..job import Job
from ..reporter import Reporter
from .content import fetch
from .definition_folder import write_files_alone
from .docker_build_context import DockerBuildContext
from .dockerfile import layer_options
from .dockerfile_advice import advice_on
from .image_check import ImageCheck, checking
from .layer import put_on_top
from .pushing import pull, push
from .repo2docker_program import Repo2docker
from .sharing import MAY_LACK_FILES, definition_of, is_shared, labels_of, name_of_layers, shared_key, whole_key


def make_image(job: Job, reporter: Reporter, environment: Mapping[str, str]) -> None:
    """Make the job's image; when this returns, it is there.

    Raises:
        BuildFailed: it cannot be made; nothing half made is left.
        Unavailable: the engine or a registry could not be asked.
    """
    settings = DockerSettings(**job.settings)
    work = Path(job.root) / "builds" / job.build_id
    content = work / "content"
    engine = Engine(settings.engine)
    try:
        with ThreadPoolExecutor(1) as threads:
            answer = threads.submit(engine.version)  # what asks an engine takes as long to import as git takes to fetch
            reporter.phase(Phase.FETCHING, "Fetching the repository")
            fetch(job, content, reporter, environment)
            answer.result()
        with _cleared(engine, settings, job):
            _DockerBuild(job, settings, engine, work, reporter, environment, definition_of(job, content)).make()
    finally:
        for made in ("content", "environment", "docker"):
            shutil.rmtree(work / made, ignore_errors=True)


def make_of_checkout(job: Job, settings: DockerSettings, work: Path, reporter: Reporter, environment: Mapping[str, str]) -> None:
    """Make the job's image of what is checked out at ``work/content`` already; raises as `make_image` does."""
    engine = Engine(settings.engine)
    engine.version()
    with _cleared(engine, settings, job):
        _DockerBuild(job, settings, engine, work, reporter, environment, definition_of(job, work / "content")).make()


@contextlib.contextmanager
def _cleared(engine: Engine, settings: DockerSettings, job: Job) -> Iterator[None]:
    """Leave nothing of the build in the engine but a finished image."""
    try:
        yield
    finally:
        BuildArtifacts(settings.instance_id, job.build_id).clear(engine)


@dataclass(frozen=True)
class _DockerBuild:
    """One build, with everything that its steps need."""

    job: Job
    settings: DockerSettings
    engine: Engine
    work: Path
    reporter: Reporter
    environment: Mapping[str, str]
    definition: Definition

    def make(self) -> None:
        """Make the image and push it; what is new is checked when people may have it, and before only if it takes another one's place."""
        self.reporter.phase(Phase.BUILDING, "Building the image")
        with contextlib.ExitStack() as held:
            new = self._build_context() if self.job.is_context else self._build_repository(held)
            if self.settings.push:
                self.reporter.phase(Phase.PUSHING, "Pushing the image")
            if new and self.job.force:
                self._check(new)
            self._finish(self._artifacts.image, self.job.image)
            if new and not self.job.force:
                self._check_finished()
            if new and new != self.job.image:
                self._finish(self._artifacts.environment, new)
            if new:
                self._keep_layers(new)

    def _build_repository(self, held: contextlib.ExitStack) -> str:
        """Build the image; return what is new and has to be checked, the image or the environment that it stands on, if one of them is.

        Args:
            held: gets the lock of an environment that nobody may stand on yet.
        """
        if is_shared(self.definition, self.settings, self.reporter):
            new = self._from_environment(shared_key(self.definition, self.job, self.settings), held)
            if new is not None:
                return new
        if advice := advice_on(self.definition.files):
            self.reporter.log(advice)
        self._build(self.work / "content", labels_of(self.job, whole_key(self.definition, self.job, self.settings)))
        return self.job.image

    def _build_context(self) -> str:
        """Build what need not start a server, so that there is nothing to check."""
        written = labels_of(self.job, whole_key(self.definition, self.job, self.settings))
        Repo2docker(self._place()).build_context(self.work / "content", self._artifacts.image, written)
        return ""

    @property
    def _artifacts(self) -> BuildArtifacts:
        return BuildArtifacts(self.settings.instance_id, self.job.build_id)

    # --- the whole at once -------------------------------------------------------------------------------------------

    def _build(self, folder: Path, written: Mapping[str, str]) -> None:
        with self._layer_options() as options:
            Repo2docker(self._place()).build(folder, self._artifacts.image, self.job.commit, written, options)

    @cached_property
    def _layers(self) -> str:
        """Under which name the build takes and leaves layers; empty if it does neither."""
        name = name_of_layers(self.job, self.settings)
        if not name or Repo2docker(self._place()).builds_with_buildx():
            return name
        self.reporter.log("Layers of other builds are neither taken nor left: this version of repo2docker builds without buildx.")
        return ""

    @contextlib.contextmanager
    def _layer_options(self) -> Iterator[list[str]]:
        """Yield what makes a build take the layers of an earlier one, which the engine has meanwhile, and leave its own."""
        if not self._layers:
            yield []
            return
        is_there = not self.job.force and self._pull_layers()
        try:
            yield layer_options(self._layers, is_there=is_there)
        finally:
            if is_there:
                with contextlib.suppress(BinderError):  # what is left here is removed by the service, once nothing is built
                    self.engine.remove_image(self._layers)

    def _pull_layers(self) -> bool:
        """Say whether the engine has the layers of an earlier build now.

        BuildKit would fetch them itself, but what it makes of them would leave no layers to the next build (moby/buildkit#1981).
        """
        try:
            is_there = pull(self.engine, self._layers, self._credentials(), self.reporter)
        except Unavailable as error:
            self.reporter.log(f"The layers of an earlier build are not used: {error.message}")
            return False
        if is_there:
            self.reporter.log("Taking the layers of an earlier build, as far as they are of the same instructions.")
        return is_there

    def _keep_layers(self, image: str) -> None:
        """Leave the layers of an image that was pushed for the next build of this repository and ref; a build has not failed if that fails."""
        if not self._layers:
            return
        try:
            self._push_as(self._layers, image)
        except BinderError as error:
            self.reporter.log(f"The layers are not kept for the next build: {error.message}")

    def _check(self, name: str) -> None:
        """Ask the unfinished image whether a server can be started from it, and meanwhile push its layers under a name that nobody looks for."""
        state = Path(self.settings.state)
        with checking(self.engine, self._artifacts, state, self.settings.singleuser_seconds, self.reporter) as check:
            if self.settings.push:
                self._push_ahead(names.unchecked_name(self.settings.image_prefix, name), check)
            check.settle()

    def _check_finished(self) -> None:
        """Ask the image whether a server can be started from it; nobody who waits for it waits for the answer."""
        with checking(self.engine, self._artifacts, Path(self.settings.state), self.settings.singleuser_seconds, self.reporter) as check:
            if not check.is_known:
                self.reporter.made()
            check.settle()

    def _push_ahead(self, name: str, check: ImageCheck) -> None:
        """Push the unfinished image; if that does not work, what pushes the finished one says so."""
        try:
            self._push_as(name, self._artifacts.image, check.look)
        except BinderError as error:
            self.reporter.log(error.message)

    def _push_as(self, name: str, image: str, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Push an image under a name that other builds of the repository may use as well, and that the engine need not know afterwards."""
        with self._locked(name.rpartition(":")[2], "Waiting for another build of the same repository, which is pushing."):
            self.engine.tag(image, name)
            try:
                push(self.engine, name, self._credentials(), self.reporter, meanwhile)
            finally:
                self.engine.remove_image(name)

    def _place(self) -> DockerBuildContext:
        guard = Guard(self.job.limits, Path(self.job.root))
        return DockerBuildContext(self.settings, self.work, self.reporter, guard, self.environment)

    def _finish(self, made: str, name: str) -> None:
        """Give an image its name and push it; without a push it is there from then on."""
        before = self.engine.inspect_image(name)
        self.engine.tag(made, name)
        try:
            if self.settings.push:
                push(self.engine, name, self._credentials(), self.reporter)
        except BinderError:
            if before is None:
                self.engine.remove_image(name)
            raise
        if before:
            with contextlib.suppress(EngineError):  # a server runs from it, or it is the same
                self.engine.remove_image(before["Id"])

    def _credentials(self) -> Credentials:
        return Credentials.read(Path(self.settings.logins), Path(self.settings.docker_config))

    # --- environment and content -------------------------------------------------------------------------------------

    def _from_environment(self, key: str, held: contextlib.ExitStack) -> str | None:
        """Put the content on top of the environment's image, which is made now unless it is there.

        Returns:
            The environment's name if it is new, else nothing; None if that did not work out.
        """
        name = names.environment_name(self.settings.image_prefix, key)
        with contextlib.ExitStack() as lock:
            lock.enter_context(self._locked(key, "Waiting for another build that is making the same environment."))
            is_there = not self.job.force and self._found(name)
            if is_there:
                self.reporter.log(f"Found the environment {key}; nothing to install.")
            elif not self._build_environment(key):
                return None
            else:
                self.engine.tag(self._artifacts.image, self._artifacts.environment)
                held.enter_context(lock.pop_all())
            base = name if is_there else self._artifacts.environment
            put_on_top(self.engine, self._artifacts, base, self.work, self.definition.start, self.settings.user_id, labels_of(self.job, key))
        self.reporter.log(f"Put the content of commit {self.job.commit} on top of the environment.")
        return "" if is_there else name

    def _build_environment(self, key: str) -> bool:
        """Build an environment from its own files; say whether they were enough. Scripts may use files that nothing names."""
        self.reporter.log("Building the environment from the files that describe it.")
        try:
            folder = write_files_alone(self.definition, self.work / "content", self.work / "environment")
            self._build(folder, {labels.ENVIRONMENT: key})
        except BuildFailed as error:
            if error.code not in MAY_LACK_FILES:
                raise
            self.reporter.log(f"{error.message} It may need other files; building once more, with the whole repository.")
            return False
        return True

    def _locked(self, key: str, waiting: str) -> contextlib.AbstractContextManager[None]:
        locks = Path(self.settings.state) / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        return locked(locks, key, lambda: self.reporter.log(waiting))

    def _found(self, name: str) -> bool:
        if self.engine.inspect_image(name):
            return True
        return self.settings.push and pull(self.engine, name, self._credentials(), self.reporter)
