"""Can a server be started from it? A question to every new image, asked while the image is pushed, or after that."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from ...clients.engine import Engine, EngineError
from ...common import labels, quick_imports
from ...errors import BinderError, BuildFailed
from ...images.build_artifacts import BuildArtifacts
from ..reporter import Reporter
from .build_errors import said_in

PROGRAM = "jupyterhub-singleuser"
_VERSION = re.compile(r"\d\.\d")
_BYTES = 1024 * 1024 * 1024
_CPU_SHARES = 256  # a quarter of what a container has otherwise, where others want the processor: people wait for servers, nobody for this
_HINT = (
    "Let the Dockerfile install it, for instance by RUN python3 -m pip install jupyterhub jupyterlab, for the user that the image runs as; "
    "an ENTRYPOINT must end by running its arguments."
)
_ANSWERS = "checked-images"
_KEPT_ANSWERS = 1000
# Python imports what is called so in a folder of PYTHONPATH before it runs a program.
_QUICK, _QUICK_FILE, _PATH_VARIABLE = "/.binder-check", "sitecustomize.py", "PYTHONPATH"


class ImageCheck:
    """The answer of a build's unfinished image, which may still be on its way.

    Attributes:
        is_known: whether the answer was there from the beginning.
        version: what the program printed.
    """

    def __init__(self, answer: Future[tuple[int | None, str]], seconds: float, reporter: Reporter, script: str) -> None:
        self._answer = answer
        self._script = script
        self._seconds = seconds
        self._reporter = reporter
        self.is_known = answer.done()
        self.version = ""
        self._failure: BinderError | None = None

    def look(self) -> None:
        """Return at once; raises `BuildFailed` if no server can be started from the image and that is known."""
        if self._answer.done():
            self.settle()

    def settle(self) -> None:
        """Return when it is known that a server can be started; raises `BuildFailed` if none can, or `Unavailable`."""
        if self._failure:
            raise self._failure
        try:
            self.version = self.version or judge(*self._answer.result(), self._seconds, self._reporter, self._script)
        except BinderError as error:
            self._failure = error
            raise


@contextlib.contextmanager
def checking(engine: Engine, artifacts: BuildArtifacts, state: Path, seconds: float, reporter: Reporter) -> Iterator[ImageCheck]:
    """Check a build's unfinished image while the block runs, unless an image that differs in nothing but labels was found to be good before.

    Args:
        state: a directory in which answers are kept.
    """
    found = engine.inspect_image(artifacts.image) or {}
    answers = state / _ANSWERS
    known = answers / _likeness(found)
    with ThreadPoolExecutor(1) as threads:
        if known.exists():
            answer: Future[tuple[int | None, str]] = Future()
            answer.set_result((0, known.read_text(encoding="utf-8")))
        else:
            answer = threads.submit(_ask, engine, artifacts, found.get("Config") or {}, seconds)
        check = ImageCheck(answer, seconds, reporter, start_script(found.get("Config") or {}))
        try:
            yield check
        finally:
            if not answer.done():
                engine.remove_container(artifacts.container)  # what asks is told that it is gone
    if check.version:
        _remember(known, check.version)


def _likeness(image: Mapping[str, Any]) -> str:
    """Return what is equal for images that differ in nothing but their labels."""
    config = {name: value for name, value in (image.get("Config") or {}).items() if name not in {"Labels", "Image", "Hostname"}}
    parts = {"layers": (image.get("RootFS") or {}).get("Layers"), "platform": [image.get("Os"), image.get("Architecture")], "config": config}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _remember(answer: Path, version: str) -> None:
    answer.parent.mkdir(parents=True, exist_ok=True)
    answer.write_text(version, encoding="utf-8")
    kept = sorted(answer.parent.iterdir(), key=lambda path: path.stat().st_mtime)
    for path in kept[:-_KEPT_ANSWERS]:
        path.unlink(missing_ok=True)


def _ask(engine: Engine, artifacts: BuildArtifacts, config: Mapping[str, Any], seconds: float) -> tuple[int | None, str]:
    """Run ``jupyterhub-singleuser --version`` in a build's image, with the rights of a server, without network or much memory.

    Returns:
        The exit status, None if it does not end in time, and the output.
    """
    container = artifacts.container
    engine.remove_container(container)
    limits = {
        "NetworkMode": "none",
        "Memory": _BYTES,
        "CpuShares": _CPU_SHARES,
        "PidsLimit": 200,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
    }
    variables = _variables(config)
    folders = ":".join(filter(None, (_QUICK, variables.get(_PATH_VARIABLE))))
    content = {
        "Image": artifacts.image,
        "Cmd": [PROGRAM, "--version"],
        "Env": [f"{_PATH_VARIABLE}={folders}"],
        "Tty": True,
        "Labels": {labels.BUILD: artifacts.build_id},
        "HostConfig": limits,
    }
    try:
        engine.create_container(container, content)
        with contextlib.suppress(EngineError):  # it only takes longer
            engine.put_archive(container, "/", _quick_imports())
        engine.start_container(container)
        return engine.wait_for_container(container, seconds), engine.container_output(container).strip()
    except EngineError as error:  # the engine finds no such program
        return 127, error.message
    finally:
        engine.remove_container(container)


def _quick_imports() -> io.BytesIO:
    """Return a tar file that makes the image's Python import quickly while it is asked; nothing of it gets into the image."""
    code = Path(quick_imports.__file__).read_bytes() + b"\ninstall()\n"
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        folder, file = tarfile.TarInfo(_QUICK), tarfile.TarInfo(f"{_QUICK}/{_QUICK_FILE}")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        file.size, file.mode = len(code), 0o644
        tar.addfile(folder)
        tar.addfile(file, io.BytesIO(code))
    archive.seek(0)
    return archive


def start_script(config: Mapping[str, Any]) -> str:
    """Return the name of the script by which repo2docker's entry point runs its arguments; empty if an image has none."""
    return PurePosixPath(_variables(config).get("R2D_ENTRYPOINT", "")).name


def _variables(config: Mapping[str, Any]) -> dict[str, str]:
    return dict(line.partition("=")[::2] for line in config.get("Env") or ())


def judge(status: int | None, output: str, seconds: float, reporter: Reporter, script: str = "") -> str:
    """Return the version that a new image answers; a status of None is no answer in time.

    Args:
        script: the name of the script that runs the program, if there is one.

    Raises:
        BuildFailed: the program is not there or does not work.
    """
    lines = output.splitlines()
    version = next((line.strip() for line in reversed(lines) if _VERSION.search(line)), None)
    if status == 0 and version:
        reporter.log(f"{PROGRAM} {version}")
        return version
    reporter.log(*lines[-20:])
    if status == 0:
        who = f"script {script}" if script else "ENTRYPOINT"
        sentence = f"The image cannot be used by a hub: it ends well and does not run {PROGRAM}, so its {who} does not run its arguments."
        raise BuildFailed(sentence, code="no_singleuser", hint=f'Let the {who} end with: exec "$@"')
    what = f"did not end within {seconds:g} seconds" if status is None else "is not there" if status in {126, 127} else "does not work"
    if script:
        hint = f'{said_in(output)}The script {script} runs it: look at that first, which has to end with: exec "$@"'
        raise BuildFailed(f"The image cannot be used by a hub: {PROGRAM} {what}, or the script {script} fails.", code="no_singleuser", hint=hint)
    raise BuildFailed(f"The image cannot be used by a hub: {PROGRAM} {what}.", code="no_singleuser", hint=_HINT)
