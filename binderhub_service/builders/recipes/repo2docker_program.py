"""repo2docker as a program: installed apart from the service, asked what it is, run, and understood."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from ... import names
from ...errors import Unavailable
from ...images.credentials import Credentials
from ...images.environments import locked
from ..docker import DockerSettings
from ..guards import Guard
from ..teller import Teller
from .repo2docker_log import Log, error_from

_VERSION = re.compile(r"^(?P<year>\d{4})\.\d+", re.MULTILINE)
_FIRST_WITH_BUILDX = 2025
_ASK_SECONDS = 60
_CPU_PERIOD = 100_000
_LABEL_UNSAFE = re.compile(r"[^A-Za-z0-9 ._~:/?#@!&()*+,;=%-]")


class Builder:
    """Runs repo2docker for one build.

    Args:
        work: the build's own directory.
        environment: what the program may see of this process's environment.
    """

    def __init__(self, settings: DockerSettings, work: Path, tell: Teller, guard: Guard, environment: Mapping[str, str]) -> None:
        self._settings = settings
        self._state = Path(settings.state)
        self._work = work
        self._tell = tell
        self._guard = guard
        self._environment = dict(environment) | settings.engine.variables() | {"BUILDX_CONFIG": str(self._state / "buildx")}

    def build(self, folder: Path, image: str, commit: str, labels: Mapping[str, str]) -> None:
        """Build an image of what is in a folder, and nothing else; no registry is asked whether it has that already.

        Raises:
            BuildFailed: it cannot be built.
            Unavailable: the engine, repo2docker or a registry could not be asked.
        """
        program = self._settings.repo2docker or self._installed()
        with_buildx = self._has_buildx(program)
        environment = self._environment | {"DOCKER_CONFIG": str(self._docker_config())}
        if with_buildx and self._is_limited():
            environment["BUILDX_BUILDER"] = self._limited_builder(environment)
        command = [program, *self._options(with_buildx), f"--ref={commit}", f"--image-name={image}"]
        command += [f"--label={name}={_LABEL_UNSAFE.sub('_', value)}" for name, value in labels.items()]
        command += [*self._settings.repo2docker_arguments, str(folder)]
        log = Log()
        finished = self._tell.run(command, cwd=self._work, environment=environment, guard=self._guard, translate=log.lines)
        if finished.status or log.failed:
            raise error_from(finished.tail, limited=bool(self._settings.memory_bytes))

    def _options(self, with_buildx: bool) -> list[str]:
        config = self._work / "docker" / "repo2docker_config.py"
        config.write_text(self._config(with_buildx))
        user = [f"--user-name={self._settings.user_name}", f"--user-id={self._settings.user_id}"]
        return [f"--config={config}", "--json-logs", "--no-run", "--no-push", *user]

    def _config(self, with_buildx: bool) -> str:
        """Return repo2docker's configuration, a Python file; values enter it as literals only."""
        settings = self._settings
        lines = ["from repo2docker.contentproviders import Local", "c.Repo2Docker.content_providers = [Local]"]
        arguments = dict(settings.build_arguments)
        values: dict[str, object] = {"base_image": settings.base_image, "appendix": settings.appendix, "extra_build_args": arguments}
        if not with_buildx and self._is_limited():
            limits = {"memory": settings.memory_bytes, "memswap": settings.memory_bytes} if settings.memory_bytes else {}
            cpus = {"cpusetcpus": f"0-{max(0, -int(-settings.cpus // 1) - 1)}"} if settings.cpus else {}
            values["extra_build_kwargs"] = {"container_limits": limits | cpus}
        lines += [f"c.Repo2Docker.{name} = {value!r}" for name, value in values.items() if value]
        if with_buildx:
            lines.append("c.DockerEngine.extra_buildx_build_args = ['--load']")
        return "\n".join(lines) + "\n"

    # --- what runs ---------------------------------------------------------------------------------------------------

    def _installed(self) -> str:
        """Return repo2docker in an environment of its own, made once."""
        version = self._settings.repo2docker_version
        prefix = self._state / f"repo2docker-{names.digest(version, 8)}"
        program = prefix / "bin" / "jupyter-repo2docker"
        complete = prefix / ".complete"
        self._state.mkdir(parents=True, exist_ok=True)
        with locked(self._state, prefix.name, lambda: self._tell.log("Waiting for another build that is installing repo2docker.")):
            if not complete.exists():
                self._tell.log(f"Installing repo2docker {version}; this happens once.")
                self._uv("venv", "--clear", "--python", sys.executable, str(prefix))
                self._uv("pip", "install", "--python", str(prefix / "bin" / "python"), f"jupyter-repo2docker=={version}")
                complete.touch()
        return str(program)

    def _uv(self, *arguments: str) -> None:
        if self._tell.run((self._settings.uv, *arguments), cwd=self._work, environment=self._environment, guard=self._guard).status:
            raise Unavailable(
                "repo2docker could not be installed.",
                code="repo2docker_unavailable",
                hint="Ask an administrator to look at the hub's access to the package index, or to install it and set DockerMode.repo2docker.",
            )

    def _has_buildx(self, program: str) -> bool:
        """Ask repo2docker which one it is, once for every installation."""
        try:
            mark = f"{program}\0{Path(program).stat().st_mtime_ns}"
            kept = self._state / f"repo2docker-version-{names.digest(mark, 8)}"
            if not kept.exists():
                self._state.mkdir(parents=True, exist_ok=True)
                asked = subprocess.run(  # noqa: S603  # a program of the operator's
                    (program, "--version"), env=self._environment, cwd=self._work, capture_output=True, text=True, timeout=_ASK_SECONDS, check=False
                )
                kept.write_text(asked.stdout)
            match = _VERSION.search(kept.read_text())
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(f"repo2docker cannot be run: {program}.", code="repo2docker_unavailable", hint="Ask an administrator.") from error
        return match is None or int(match["year"]) >= _FIRST_WITH_BUILDX

    # --- where it runs -----------------------------------------------------------------------------------------------

    def _docker_config(self) -> Path:
        """Return a directory with Docker's configuration for this build: the operator's, and the logins that were given."""
        theirs, own = Path(self._settings.docker_config), self._work / "docker"
        own.mkdir(mode=0o700, exist_ok=True)
        content = json.loads((theirs / "config.json").read_text()) if (theirs / "config.json").exists() else {}
        content["cliPluginsExtraDirs"] = [*content.get("cliPluginsExtraDirs", ()), str(theirs / "cli-plugins")]
        auths = dict(content.get("auths", {}))
        for login in Credentials.read(Path(self._settings.logins), None).given:
            auths[login.address] = {"auth": login.basic()}
        descriptor = os.open(own / "config.json", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(content | {"auths": auths}, file)
        return own

    def _is_limited(self) -> bool:
        return bool(self._settings.memory_bytes or self._settings.cpus)

    def _limited_builder(self, environment: Mapping[str, str]) -> str:
        """Return the name of a BuildKit builder that has the limits; the engine's own BuildKit knows none."""
        settings = self._settings
        options = [f"image={settings.buildkit_image}"]
        if settings.memory_bytes:
            options += [f"memory={settings.memory_bytes}", f"memory-swap={settings.memory_bytes}"]
        if settings.cpus:
            options += [f"cpu-period={_CPU_PERIOD}", f"cpu-quota={int(settings.cpus * _CPU_PERIOD)}"]
        name = "binder-" + names.digest("\0".join(options), 8)
        run = ("docker", "buildx")
        known = self._tell.run((*run, "inspect", name), cwd=self._work, environment=environment, guard=self._guard, translate=lambda line: ())
        if known.status:
            chosen = [word for option in options for word in ("--driver-opt", option)]
            create = (*run, "create", "--name", name, "--driver", "docker-container", *chosen)
            if self._tell.run(create, cwd=self._work, environment=environment, guard=self._guard).status:
                raise Unavailable("A builder with limits could not be made.", code="engine_unavailable", hint="The log says more.")
        return name
