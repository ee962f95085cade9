"""Can a server be started from it? A question to every new image."""

from __future__ import annotations

from ...clients.engine import Engine, EngineError
from ...common import labels
from ...errors import BuildFailed
from ...images.build_artifacts import BuildArtifacts
from ..reporter import Reporter

PROGRAM = "jupyterhub-singleuser"
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
    if status == 0:
        reporter.log(f"{PROGRAM} {output.splitlines()[-1] if output else ''}".strip())
        return
    reporter.log(*output.splitlines()[-20:])
    what = f"did not end within {seconds:g} seconds" if status is None else "is not there" if status in {126, 127} else "does not work"
    raise BuildFailed(f"The image cannot be used by a hub: {PROGRAM} {what}.", code="no_singleuser", hint=_HINT)
