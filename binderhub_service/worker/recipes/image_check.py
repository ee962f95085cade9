"""Can a server be started from it? A question to every new image."""

from __future__ import annotations

import re

from ...clients.engine import Engine, EngineError
from ...common import labels
from ...errors import BuildFailed
from ...images.build_artifacts import BuildArtifacts
from ..reporter import Reporter

PROGRAM = "jupyterhub-singleuser"
_VERSION = re.compile(r"\d\.\d")
_BYTES = 1024 * 1024 * 1024
_HINT = (
    "Let the Dockerfile install it, for instance by RUN python3 -m pip install jupyterhub jupyterlab, for the user that the image runs as; "
    "an ENTRYPOINT must end by running its arguments."
)


def check_singleuser(engine: Engine, artifacts: BuildArtifacts, seconds: float, reporter: Reporter) -> None:
    """Run ``jupyterhub-singleuser --version`` in the build's unfinished image, with the rights of a server, without network or much memory.

    Raises:
        BuildFailed: it is not there or does not work.
    """
    container = artifacts.container
    engine.remove_container(container)
    limits = {"NetworkMode": "none", "Memory": _BYTES, "PidsLimit": 200, "CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges"]}
    content = {
        "Image": artifacts.image,
        "Cmd": [PROGRAM, "--version"],
        "Tty": True,
        "Labels": {labels.BUILD: artifacts.build_id},
        "HostConfig": limits,
    }
    try:
        engine.create_container(container, content)
        engine.start_container(container)
        status = engine.wait_for_container(container, seconds)
        output = engine.container_output(container).strip()
    except EngineError as error:  # the engine finds no such program
        status, output = 127, error.message
    finally:
        engine.remove_container(container)
    judge(status, output, seconds, reporter)


def judge(status: int | None, output: str, seconds: float, reporter: Reporter) -> None:
    """Say what the answer of a new image means; a status of None is no answer in time.

    Raises:
        BuildFailed: the program is not there or does not work.
    """
    lines = output.splitlines()
    version = next((line.strip() for line in reversed(lines) if _VERSION.search(line)), None)
    if status == 0 and version:
        reporter.log(f"{PROGRAM} {version}")
        return
    reporter.log(*lines[-20:])
    if status == 0:
        sentence = f"The image cannot be used by a hub: it ends well and does not run {PROGRAM}, so its ENTRYPOINT does not run its arguments."
        raise BuildFailed(sentence, code="no_singleuser", hint='Let the ENTRYPOINT end with: exec "$@"')
    what = f"did not end within {seconds:g} seconds" if status is None else "is not there" if status in {126, 127} else "does not work"
    raise BuildFailed(f"The image cannot be used by a hub: {PROGRAM} {what}.", code="no_singleuser", hint=_HINT)
