"""Where programs run for one build in an engine: with the operator's Docker configuration, logins and limits."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ... import names
from ...clients.credentials import Credentials
from ...errors import Unavailable
from ..docker_job import DockerSettings
from ..guards import Guard
from ..reporter import Finished, Reporter

_CPU_PERIOD = 100_000


class DockerBuildContext:
    """Runs programs for one build, in its own directory.

    Args:
        work: the build's own directory.
        environment: what the programs may see of this process's environment.
    """

    def __init__(self, settings: DockerSettings, work: Path, reporter: Reporter, guard: Guard, environment: Mapping[str, str]) -> None:
        self.settings = settings
        self.state = Path(settings.state)
        self.work = work
        self.reporter = reporter
        self.environment = dict(environment) | settings.engine.variables() | {"BUILDX_CONFIG": str(self.state / "buildx")}
        self._guard = guard

    @property
    def is_limited(self) -> bool:
        """Whether builds have limits of memory or processors."""
        return bool(self.settings.memory_limit_bytes or self.settings.cpu_limit)

    @property
    def processors(self) -> str:
        """The processors of a limited build as engines without BuildKit take them, e.g. ``0-1``; empty for all."""
        return f"0-{max(0, -int(-self.settings.cpu_limit // 1) - 1)}" if self.settings.cpu_limit else ""

    @property
    def configuration(self) -> Path:
        """The directory of the build's own configuration files, which `prepare` fills."""
        return self.work / "docker"

    def run(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None, translate: Callable[[str], Sequence[str]] | None = None
    ) -> Finished:
        """Run a program to its end and tell what it prints.

        Raises:
            Unavailable: there is no such program.
        """
        try:
            return self.reporter.run(command, cwd=self.work, environment=environment or self.environment, guard=self._guard, translate=translate)
        except FileNotFoundError as error:
            raise Unavailable(
                f"The program {command[0]} is missing.", code="engine_tools_missing", hint="Ask an administrator to install it."
            ) from error

    def prepare(self, *, with_buildx: bool, with_docker: bool) -> dict[str, str]:
        """Write Docker's configuration for this build, and return the environment of programs that build.

        Args:
            with_docker: whether it is Docker's own program that builds, not the library that a repo2docker without buildx has.
        """
        self._write_docker_config(with_docker)
        environment = self.environment | {"DOCKER_CONFIG": str(self.configuration)}
        if with_buildx and self.is_limited:
            environment["BUILDX_BUILDER"] = self._limited_builder(environment)
        return environment

    def _write_docker_config(self, with_docker: bool) -> None:
        """Write the operator's configuration with the logins and proxies that were given.

        Docker's own program takes a login from this file only if neither `credsStore` nor a helper is to be asked for its registry: a helper
        without a name says so. The library looks here in any case, and stumbles over such a helper.
        """
        theirs, own = Path(self.settings.docker_config), self.configuration
        own.mkdir(mode=0o700, exist_ok=True)
        content = json.loads((theirs / "config.json").read_text()) if (theirs / "config.json").exists() else {}
        content["cliPluginsExtraDirs"] = [*content.get("cliPluginsExtraDirs", ()), str(theirs / "cli-plugins")]
        given = {login.address: {"auth": login.basic()} for login in Credentials.read(Path(self.settings.logins), None).given}
        helpers = {address: helper for address, helper in content.get("credHelpers", {}).items() if address not in given}
        content["credHelpers"] = helpers | (dict.fromkeys(given, "") if with_docker else {})
        content["auths"] = content.get("auths", {}) | given
        if self.settings.build_proxies:
            content["proxies"] = {"default": dict(self.settings.build_proxies)}
        descriptor = os.open(own / "config.json", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(content, file)

    def _limited_builder(self, environment: Mapping[str, str]) -> str:
        """Return the name of a BuildKit builder that has the limits; the engine's own BuildKit knows none."""
        settings = self.settings
        options = [f"image={settings.buildkit_image}"]
        if settings.memory_limit_bytes:
            options += [f"memory={settings.memory_limit_bytes}", f"memory-swap={settings.memory_limit_bytes}"]
        if settings.cpu_limit:
            options += [f"cpu-period={_CPU_PERIOD}", f"cpu-quota={int(settings.cpu_limit * _CPU_PERIOD)}"]
        name = "binder-" + names.digest("\0".join(options), 8)
        run = ("docker", "buildx")
        if self.run((*run, "inspect", name), environment, translate=lambda line: ()).status:
            chosen = [word for option in options for word in ("--driver-opt", option)]
            if self.run((*run, "create", "--name", name, "--driver", "docker-container", *chosen), environment).status:
                raise Unavailable("A builder with limits could not be made.", code="engine_unavailable", hint="The log says more.")
        return name
