"""repo2docker as a program: installed apart from the service, asked what it is, run, and understood."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ... import names
from ...errors import Unavailable
from ...images.locks import locked
from . import repo2docker_call
from .docker_build_context import DockerBuildContext
from .dockerfile import build_command, build_variables, context_dockerfile, dockerfile_in, usual_arguments
from .repo2docker_call import safe_labels, write_configuration
from .repo2docker_log import Lines, Log, error_from

_VERSION = re.compile(r"^(?P<year>\d{4})\.\d\S*", re.MULTILINE)
_FIRST_WITH_BUILDX = 2025
_ASK_SECONDS = 60


class Repo2docker:
    """Makes the images that repo2docker makes; it runs only where it has something to decide."""

    def __init__(self, place: DockerBuildContext) -> None:
        self._place = place
        self._settings = place.settings

    def builds_with_buildx(self) -> bool:
        """Say whether this version builds with buildx; older ones build in the engine itself."""
        year = _VERSION.match(self._version())
        return year is None or int(year["year"]) >= _FIRST_WITH_BUILDX

    def build_context(self, folder: Path, image: str, labels: Mapping[str, str]) -> None:
        """Build an image of a folder by the Dockerfile at its root, as Docker's own program does; raises as `build`."""
        dockerfile = context_dockerfile(folder)
        with_buildx = self.builds_with_buildx()
        environment = self._place.prepare(with_buildx=with_buildx, with_docker=True) | build_variables(with_buildx=with_buildx)
        arguments = dict(self._settings.build_arguments)
        command = build_command(self._place, folder, dockerfile, image, safe_labels(labels), arguments, with_buildx=with_buildx)
        finished = self._place.run(command, environment, translate=Lines().lines)
        if finished.status:
            raise error_from(finished.tail, limited=bool(self._settings.memory_limit_bytes))

    def build(self, folder: Path, image: str, commit: str, labels: Mapping[str, str], options: Sequence[str] = ()) -> None:
        """Build an image of what is in a folder, and nothing else; no registry is asked whether it has that already.

        Args:
            options: more of buildx's options, if it builds with that.

        Raises:
            BuildFailed: it cannot be built.
            Unavailable: the engine, repo2docker or a registry could not be asked.
        """
        version, with_buildx = self._version(), self.builds_with_buildx()
        dockerfile = self._plain_dockerfile(folder)
        environment = self._place.prepare(with_buildx=with_buildx, with_docker=with_buildx or dockerfile is not None)
        if dockerfile:
            written = {"repo2docker.version": version, **safe_labels(labels)}
            arguments = usual_arguments(self._settings)
            command = build_command(self._place, folder, dockerfile, image, written, arguments, with_buildx=with_buildx, options=options)
            environment |= build_variables(with_buildx=with_buildx)
        else:
            command = self._command(folder, image, commit, labels, ["--load", *options] if with_buildx else [])
        log = Lines() if dockerfile else Log()
        finished = self._place.run(command, environment, translate=log.lines)
        if finished.status or log.failed:
            raise error_from(finished.tail, limited=bool(self._settings.memory_limit_bytes))

    def _plain_dockerfile(self, folder: Path) -> Path | None:
        """Return the Dockerfile that Docker's own program can build as repo2docker does; not if the operator gives that arguments."""
        if self._settings.repo2docker_arguments or not shutil.which("docker", path=self._place.environment.get("PATH")):
            return None
        return dockerfile_in(folder)

    def _command(self, folder: Path, image: str, commit: str, labels: Mapping[str, str], for_buildx: Sequence[str]) -> list[str]:
        configuration = self._place.configuration / "repo2docker_config.py"
        more = [f"c.DockerEngine.extra_buildx_build_args = {list(for_buildx)!r}"] if for_buildx else []
        write_configuration(configuration, self._settings, {} if for_buildx else self._limits(), more)
        program = self._settings.repo2docker or self._installed()
        return repo2docker_call.build_command(program, configuration, self._settings, folder, image, commit, labels)

    def _limits(self) -> dict[str, object]:
        """Return what makes an engine without buildx limit a build."""
        memory, processors = self._settings.memory_limit_bytes, self._place.processors
        limits = {"memory": memory, "memswap": memory} if memory else {}
        cpus = {"cpusetcpus": processors} if processors else {}
        return {"extra_build_kwargs": {"container_limits": limits | cpus}} if self._place.is_limited else {}

    # --- what runs ---------------------------------------------------------------------------------------------------

    def _installed(self) -> str:
        """Return repo2docker in an environment of its own, made once."""
        version, state = self._settings.repo2docker_version, self._place.state
        prefix = state / f"repo2docker-{names.digest(version, 8)}"
        program = prefix / "bin" / "jupyter-repo2docker"
        complete = prefix / ".complete"
        state.mkdir(parents=True, exist_ok=True)
        with locked(state, prefix.name, lambda: self._place.reporter.log("Waiting for another build that is installing repo2docker.")):
            if not complete.exists():
                self._place.reporter.log(f"Installing repo2docker {version}; this happens once.")
                self._uv("venv", "--clear", "--python", sys.executable, str(prefix))
                self._uv("pip", "install", "--python", str(prefix / "bin" / "python"), f"jupyter-repo2docker=={version}")
                complete.touch()
        return str(program)

    def _uv(self, *arguments: str) -> None:
        if self._place.run((self._settings.uv, *arguments)).status:
            raise Unavailable(
                "repo2docker could not be installed.",
                code="repo2docker_unavailable",
                hint="Ask an administrator to look at the hub's access to the package index, or to install it and set DockerMode.repo2docker.",
            )

    def _version(self) -> str:
        """Return which repo2docker it is; the operator's program is asked once. Empty if it does not say."""
        if not self._settings.repo2docker:
            return self._settings.repo2docker_version
        match = _VERSION.search(self._asked(self._settings.repo2docker))
        return match[0] if match else ""

    def _asked(self, program: str) -> str:
        """Return what a program says to ``--version``, for as long as it stays the same program."""
        place = self._place
        try:
            instance_id = f"{program}\0{Path(program).stat().st_mtime_ns}"
            kept = place.state / f"repo2docker-version-{names.digest(instance_id, 8)}"
            if not kept.exists():
                place.state.mkdir(parents=True, exist_ok=True)
                command = (program, "--version")
                asked = subprocess.run(  # noqa: S603  # a program of the operator's
                    command, env=place.environment, cwd=place.work, capture_output=True, text=True, timeout=_ASK_SECONDS, check=False
                )
                kept.write_text(asked.stdout)
            return kept.read_text()
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(f"repo2docker cannot be run: {program}.", code="repo2docker_unavailable", hint="Ask an administrator.") from error
