"""repo2docker as a program: installed apart from the service, asked what it is, run, and understood."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from ... import names
from ...errors import Unavailable
from ...images.environments import locked
from .dockerfile import build_command, build_variables, dockerfile_in
from .repo2docker_log import Lines, Log, error_from
from .workplace import Workplace

_VERSION = re.compile(r"^(?P<year>\d{4})\.\d\S*", re.MULTILINE)
_FIRST_WITH_BUILDX = 2025
_ASK_SECONDS = 60
_LABEL_UNSAFE = re.compile(r"[^A-Za-z0-9 ._~:/?#@!&()*+,;=%-]")


class Builder:
    """Makes the images that repo2docker makes; it runs only where it has something to decide."""

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._settings = place.settings

    def build(self, folder: Path, image: str, commit: str, labels: Mapping[str, str]) -> None:
        """Build an image of what is in a folder, and nothing else; no registry is asked whether it has that already.

        Raises:
            BuildFailed: it cannot be built.
            Unavailable: the engine, repo2docker or a registry could not be asked.
        """
        version = self._version()
        year = _VERSION.match(version)
        with_buildx = year is None or int(year["year"]) >= _FIRST_WITH_BUILDX
        environment = self._place.prepare(with_buildx=with_buildx)
        safe_labels = {name: _LABEL_UNSAFE.sub("_", value) for name, value in labels.items()}
        dockerfile = self._plain_dockerfile(folder, environment)
        if dockerfile:
            command = build_command(self._place, folder, dockerfile, image, version, safe_labels, with_buildx=with_buildx)
            environment |= build_variables(with_buildx=with_buildx)
        else:
            command = self._command(folder, image, commit, safe_labels, with_buildx=with_buildx)
        log = Lines() if dockerfile else Log()
        finished = self._place.run(command, environment, translate=log.lines)
        if finished.status or log.failed:
            raise error_from(finished.tail, limited=bool(self._settings.memory_bytes))

    def _plain_dockerfile(self, folder: Path, environment: Mapping[str, str]) -> Path | None:
        """Return the Dockerfile that Docker's own program can build as repo2docker does; not if the operator gives that arguments."""
        if self._settings.repo2docker_arguments or not shutil.which("docker", path=environment.get("PATH")):
            return None
        return dockerfile_in(folder)

    def _command(self, folder: Path, image: str, commit: str, labels: Mapping[str, str], *, with_buildx: bool) -> list[str]:
        config = self._place.configuration / "repo2docker_config.py"
        config.write_text(self._config(with_buildx))
        program = self._settings.repo2docker or self._installed()
        user = [f"--user-name={self._settings.user_name}", f"--user-id={self._settings.user_id}"]
        command = [program, f"--config={config}", "--json-logs", "--no-run", "--no-push", *user, f"--ref={commit}", f"--image-name={image}"]
        return [*command, *(f"--label={name}={value}" for name, value in labels.items()), *self._settings.repo2docker_arguments, str(folder)]

    def _config(self, with_buildx: bool) -> str:
        """Return repo2docker's configuration, a Python file; values enter it as literals only."""
        settings = self._settings
        lines = ["from repo2docker.contentproviders import Local", "c.Repo2Docker.content_providers = [Local]"]
        arguments = dict(settings.build_arguments)
        values: dict[str, object] = {"base_image": settings.base_image, "appendix": settings.appendix, "extra_build_args": arguments}
        if not with_buildx and self._place.is_limited:
            limits = {"memory": settings.memory_bytes, "memswap": settings.memory_bytes} if settings.memory_bytes else {}
            cpus = {"cpusetcpus": self._place.processors} if self._place.processors else {}
            values["extra_build_kwargs"] = {"container_limits": limits | cpus}
        lines += [f"c.Repo2Docker.{name} = {value!r}" for name, value in values.items() if value]
        if with_buildx:
            lines.append("c.DockerEngine.extra_buildx_build_args = ['--load']")
        return "\n".join(lines) + "\n"

    # --- what runs ---------------------------------------------------------------------------------------------------

    def _installed(self) -> str:
        """Return repo2docker in an environment of its own, made once."""
        version, state = self._settings.repo2docker_version, self._place.state
        prefix = state / f"repo2docker-{names.digest(version, 8)}"
        program = prefix / "bin" / "jupyter-repo2docker"
        complete = prefix / ".complete"
        state.mkdir(parents=True, exist_ok=True)
        with locked(state, prefix.name, lambda: self._place.tell.log("Waiting for another build that is installing repo2docker.")):
            if not complete.exists():
                self._place.tell.log(f"Installing repo2docker {version}; this happens once.")
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
            mark = f"{program}\0{Path(program).stat().st_mtime_ns}"
            kept = place.state / f"repo2docker-version-{names.digest(mark, 8)}"
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
