"""An image by repo2docker and buildah, as a directory: built, exported, and asked whether a server can start from it.

What replaces an image is asked first.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...common import labels
from ...errors import BuildFailed
from .. import buildah_command
from ..guards import Guard
from ..job import Job, ProcessLimits
from ..pod_job import STORAGE, PodSettings
from ..reporter import Reporter
from .base_images import BASES, fetched_images
from .buildah_log import BuildahLog, ended_without_a_word, error_from, shell_status
from .buildah_storage import choose_storage, pulled_layers
from .dockerfile import context_dockerfile
from .image_check import PROGRAM, judge, start_script
from .layer_cache import LAYERS, STEPS_FILE, Step, images_of_steps
from .pod_plan import CONTENT, ENVIRONMENT, WHOLE, Plan
from .pulled_layers import describe, find_layers, leave_out
from .repo2docker_call import build_command, safe_labels, write_configuration
from .sharing import MAY_LACK_FILES, labels_of

LAYOUT_NAME = "image"
_RUN = ("buildah", "run", "--isolation=chroot", "--cap-drop=CAP_SYS_CHROOT")
_SEARCHED = 'unqualified-search-registries = ["docker.io"]\nshort-name-mode = "disabled"\n'
_TOLD_LINES = 20
_TRIES = 3


class BuildahBuild:
    """The steps `build` and `try` of a build pod: no login is at hand, since what a repository says is run.

    Args:
        made: the directory that images are left in, as OCI layouts named `ENVIRONMENT` or `WHOLE`.
    """

    def __init__(self, job: Job, settings: PodSettings, made: Path, reporter: Reporter, environment: Mapping[str, str]) -> None:
        self._job = job
        self._settings = settings
        self._made = made
        self._reporter = reporter
        self._aside = made / "aside"
        self._aside.mkdir(exist_ok=True)
        self._storage_conf = self._aside / "storage.conf"
        self._environment = dict(environment) | self._variables()
        self._guard = Guard(job.limits, made)

    def make(self, plan: Plan) -> None:
        """Make what the plan lacks; raises `BuildFailed`."""
        work = Path(self._job.root)
        if plan.found:
            return
        self._reporter.log(*choose_storage(self._settings.storage_driver, self._storage_conf, self._storage_info))
        for place, name in fetched_images(work / BASES):
            self._quietly(("buildah", "tag", self._quietly(("buildah", "pull", "--quiet", place)).strip(), name))
        self._take_layers(work / LAYERS)
        if plan.key and self._make_environment(plan, work / ENVIRONMENT):
            return
        make = self._make_context if self._job.is_context else self._make
        make(work / CONTENT, labels_of(self._job, plan.whole_key), WHOLE)

    def try_pushed(self, plan: Plan) -> None:
        """Try an image that was pushed first; raises `BuildFailed` if no server can be started from it."""
        if plan.is_tried_last(self._job):
            for name in (ENVIRONMENT, WHOLE):
                shutil.rmtree(self._made / name, ignore_errors=True)  # the registry has it; storage that copies layers needs its space
            self._check(self._unfinished)

    def _storage_info(self) -> str:
        """Return what buildah says about its storage; empty if it cannot use it."""
        said = _Kept(None)
        finished = self._reporter.run(("buildah", "info"), cwd=self._aside, environment=self._environment, guard=self._guard, translate=said.keep)
        return "" if finished.status else said.text

    def _make_environment(self, plan: Plan, folder: Path) -> bool:
        """Make an environment from its own files; say whether they were enough. Scripts may use files that nothing names."""
        self._reporter.log("Building the environment from the files that describe it.")
        try:
            self._make(folder, {labels.ENVIRONMENT: plan.key}, ENVIRONMENT)
        except BuildFailed as error:
            if error.code not in MAY_LACK_FILES:
                raise
            self._reporter.log(f"{error.message} It may need other files; building once more, with the whole repository.")
            return False
        return True

    def _make(self, folder: Path, written: Mapping[str, str], name: str) -> None:
        image = self._unfinished
        configuration = self._aside / "repo2docker_config.py"
        write_configuration(configuration, self._settings, {})
        self._do(build_command("jupyter-repo2docker", configuration, self._settings, folder, image, self._job.commit, written, "buildah"))
        if self._job.force:
            self._check(image)
        self._pack(name)
        if self._settings.layer_cache:
            (self._made / STEPS_FILE).write_text(json.dumps([asdict(step) for step in self._steps(image)]))

    def _make_context(self, folder: Path, written: Mapping[str, str], name: str) -> None:
        """Make an image that need not start a server, as Docker's own program does."""
        dockerfile, arguments = context_dockerfile(folder), self._settings.build_arguments
        self._do(buildah_command.build_command(str(folder), self._unfinished, arguments, safe_labels(written), dockerfile=str(dockerfile)))
        self._pack(name)

    def _pack(self, name: str) -> None:
        self._reporter.log("Packing the image.")
        layout, pulled = self._made / name, list(pulled_layers(self._unfinished))
        found = asyncio.run(find_layers(pulled, self._settings, Path(self._job.root)))
        leave_out(found, layout)
        compression = f"--compression-format={self._settings.layer_compression}"
        self._do(("buildah", "push", compression, self._unfinished, f"oci:{layout}:{LAYOUT_NAME}"))
        if found:
            describe(found, layout)

    def _do(self, command: Sequence[str]) -> None:
        """Run a command whose words people see; raises `BuildFailed` if it fails."""
        log = BuildahLog()
        finished = self._reporter.run(command, cwd=self._aside, environment=self._environment, guard=self._guard, translate=log.lines)
        if finished.status or log.failed:
            raise error_from(finished.tail, limited=bool(self._settings.memory_limit_bytes))

    def _take_layers(self, folder: Path) -> None:
        """Let buildah find the steps of an earlier build of this repository; it builds without those that cannot be used."""
        try:
            for place in images_of_steps(folder, self._aside / LAYERS):
                self._quietly(("buildah", "pull", "--quiet", place))
        except BuildFailed as error:
            self._reporter.log(f"The layers of an earlier build are not used: {error.message}")

    def _steps(self, image: str) -> list[Step]:
        """Return the images that buildah has made on the way to one, without that one itself: its labels are this build's."""
        whole = self._described(image)
        unnamed = [one["id"] for one in json.loads(self._quietly(("buildah", "images", "--all", "--json"))) if not one.get("names")]
        return [step for one in unnamed if (step := Step.of(self._described(one), whole))]

    def _described(self, image: str) -> Any:
        return json.loads(self._quietly(("buildah", "inspect", "--type=image", image)))["Docker"]

    @property
    def _unfinished(self) -> str:
        return f"binder-unfinished:{self._job.build_id}"

    def _check(self, image: str) -> None:
        """Run ``jupyterhub-singleuser --version`` in an image as a server would be run; raises `BuildFailed`."""
        container = f"binder-check-{self._job.build_id}"
        self._quietly(("buildah", "from", "--pull-never", f"--name={container}", image))
        config = self._described(image)["config"]
        entry = config.get("Entrypoint") or []
        status, output = self._answer((*_RUN, container, "--", *entry, PROGRAM, "--version"))
        self._quietly(("buildah", "rm", container))
        judge(status, output, self._settings.singleuser_seconds, self._reporter, start_script(config))

    def _answer(self, command: Sequence[str]) -> tuple[int, str]:
        """Run a command in a container; return its exit status, as a shell would tell it, and its output. An end without a word is tried again."""
        for _ in range(_TRIES):
            output, seconds = _Kept(_TOLD_LINES), self._settings.singleuser_seconds
            guard = _InTime(seconds, output, self._reporter)
            finished = self._reporter.run(command, cwd=self._aside, environment=self._environment, guard=guard, translate=output.keep)
            if not ended_without_a_word(output.text):
                break
        return shell_status(finished.status, output.text), output.text

    def _quietly(self, command: Sequence[str]) -> str:
        """Run a command that says nothing to people, unless it fails; return what it says."""
        said = _Kept(None)
        finished = self._reporter.run(command, cwd=self._aside, environment=self._environment, guard=self._guard, translate=said.keep)
        if finished.status:
            self._reporter.log(*said.text.splitlines()[-_TOLD_LINES:])
            raise error_from(said.text, limited=bool(self._settings.memory_limit_bytes))
        return said.text

    def _variables(self) -> dict[str, str]:
        """Return what buildah reads from its environment."""
        registries = self._aside / "registries.conf"
        registries.write_text(registries_text(self._settings.plain_http_registries, self._settings.registry_mirrors))
        return {
            "CONTAINERS_REGISTRIES_CONF": str(registries),
            "CONTAINERS_STORAGE_CONF": str(self._storage_conf),  # it heeds no variable with the driver's name
            "TMPDIR": str(self._aside),
        }


def registries_text(plain_http: Sequence[str], mirrors: Mapping[str, Sequence[str]]) -> str:
    """Return what buildah is to know about registries: which speak plain http, and where to ask before them."""
    lines = [_SEARCHED]
    for host in dict.fromkeys([*plain_http, *mirrors]):
        lines += ["[[registry]]", f"location = {json.dumps(host)}", f"insecure = {json.dumps(host in plain_http)}"]
        for mirror in mirrors.get(host, ()):
            lines += ["[[registry.mirror]]", f"location = {json.dumps(mirror)}", f"insecure = {json.dumps(mirror.partition('/')[0] in plain_http)}"]
    return "\n".join([*lines, ""])


class _Kept:
    """Keeps lines, the last ones or all, and tells none."""

    def __init__(self, most: int | None) -> None:
        self._lines: deque[str] = deque(maxlen=most)

    def keep(self, line: str) -> Sequence[str]:
        """Take a line."""
        self._lines.append(line)
        return ()

    @property
    def text(self) -> str:
        """What was kept."""
        return "\n".join(self._lines)


class _InTime(Guard):
    """Ends a question that takes too long."""

    def __init__(self, seconds: float, output: _Kept, reporter: Reporter) -> None:
        super().__init__(ProcessLimits(), STORAGE)
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        self._output = output
        self._reporter = reporter

    def check(self) -> None:
        """Raise `BuildFailed` when the time is over."""
        if time.monotonic() > self._until:
            judge(None, self._output.text, self._seconds, self._reporter)
