"""What the service and a build process share: the files of one job directory.

::

    job.json      what to make; written by the service
    lock          held (flock) by the build process for as long as it lives
    pid           the build process, leader of its own session; written when it starts
    events.jsonl  one report a line; written by the build process
    exit.json     how it ended: ``{}`` or ``{"error": {...}}``; written last, in one step
    output        what Python itself printed, for the service's log
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..clients.contents import CONTEXT
from ..common.address_rules import AddressRules
from ..models import Build

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True)
class UnpackingLimits:
    """What an archive may hold.

    Attributes:
        bytes: how much all its files may take together.
        files: how many files, folders and links there may be.
    """

    bytes: int = 2 * 1024**3
    files: int = 100_000


@dataclass(frozen=True)
class ProcessLimits:
    """What a build process may use; 0 means any amount.

    Attributes:
        log_bytes: how much log it tells; more is dropped, and the build goes on.
        content_bytes: how large a checkout may be.
        free_bytes: how much must stay free on the disk of the images.
        addresses: which hosts git may fetch from.
        unpacking: what an archive may hold.
    """

    log_bytes: int = 0
    content_bytes: int = 0
    free_bytes: int = 0
    addresses: AddressRules = field(default_factory=AddressRules)
    unpacking: UnpackingLimits = field(default_factory=UnpackingLimits)

    def __post_init__(self) -> None:
        """Take the rules and limits as JSON has them, too."""
        if isinstance(self.addresses, Mapping):
            object.__setattr__(self, "addresses", AddressRules(**self.addresses))
        if isinstance(self.unpacking, Mapping):
            object.__setattr__(self, "unpacking", UnpackingLimits(**self.unpacking))


@dataclass(frozen=True)
class Job:
    """What a build process is to make.

    Attributes:
        root: the directory that holds what is made.
        recipe: the module of `worker.recipes` that makes it.
        settings: what the recipe needs to know: the fields of its record of settings.
        first_of: as in `Source`.
    """

    build_id: str
    url: str
    repo: str
    ref: str
    commit: str
    image: str
    force: bool
    root: str
    recipe: str
    settings: Mapping[str, Any]
    limits: ProcessLimits
    first_of: tuple[str, ...] = ()

    @property
    def is_context(self) -> bool:
        """Whether it makes an image that need not start a server."""
        return self.url == CONTEXT

    @classmethod
    def of(cls, build: Build, root: Path, recipe: str, settings: DataclassInstance, limits: ProcessLimits) -> Job:
        """Return what is to be done for a build."""
        source = build.source
        return cls(
            build_id=build.id,
            url=source.url,
            repo=source.repo,
            ref=source.ref,
            commit=source.commit,
            image=build.image.name,
            force=build.force,
            root=str(root),
            recipe=recipe,
            settings=asdict(settings),
            limits=limits,
            first_of=source.first_of,
        )

    @classmethod
    def read(cls, file: Path) -> Job:
        """Return the job that a file holds."""
        content = json.loads(file.read_text())
        return cls(**content | {"limits": ProcessLimits(**content["limits"]), "first_of": tuple(content.get("first_of", ()))})


class JobDirectory:
    """The files of one job."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events = path / "events.jsonl"
        self.output = path / "output"
        self._job = path / "job.json"
        self._lock = path / "lock"
        self._pid = path / "pid"
        self._exit = path / "exit.json"

    def write_job(self, job: Job) -> None:
        """Make the directory and say what is to be made."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_in_one_step(self._job, asdict(job))

    def read_job(self) -> Job:
        """Return what is to be made."""
        return Job.read(self._job)

    def lock(self) -> int | None:
        """Become the job's process: return the lock's descriptor, to be kept open, or None if another process has it."""
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def is_running(self) -> bool:
        """Say whether the job's process lives; asks the lock, since a process id may be somebody else's by now."""
        if not self._lock.exists():
            return False
        descriptor = self.lock()
        if descriptor is None:
            return True
        os.close(descriptor)
        return False

    def note_start(self) -> None:
        """Write down which process this is."""
        self._pid.write_text(str(os.getpid()))

    def pid(self) -> int | None:
        """Return the job's process, or None if it never started."""
        try:
            return int(self._pid.read_text())
        except (FileNotFoundError, ValueError):
            return None

    def write_exit(self, error: Mapping[str, Any] | None) -> None:
        """Say how it ended."""
        write_in_one_step(self._exit, {"error": error} if error else {})

    def read_exit(self) -> dict[str, Any] | None:
        """Return how it ended, or None if it did not say."""
        try:
            content: dict[str, Any] = json.loads(self._exit.read_text())
        except FileNotFoundError:
            return None
        return content


def write_in_one_step(path: Path, content: object) -> None:
    """Write a JSON file so that it is seen whole or not at all."""
    aside = path.with_name(path.name + ".new")
    aside.write_text(json.dumps(content))
    aside.replace(path)
