"""An image as a directory: the commit's checkout and a uv environment, made or found, published together."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ...errors import BuildFailed
from ...images.layout import MANIFEST
from ...images.locks import locked
from ...images.trees import make_read_only
from ...models import Phase
from ..definition import Definition
from ..environment_job import EnvironmentSettings
from ..environments import definition_in
from ..guards import disk_full, size_of
from ..job import Job, write_in_one_step
from ..reporter import Reporter
from .content import fetch
from .editables import import_roots
from .installer import Installer, aside_of
from .publication import Publication
from .script_errors import check_scripts
from .server_trial import ServerTrial

SIZE = ".size.json"
_NICENESS = 10  # whose server starts meanwhile, and makes the same bytecode, goes first


def make_image(job: Job, reporter: Reporter, environment: Mapping[str, str]) -> None:
    """Make the job's image; when this returns, it is there, and a server was tried in its environment.

    Raises:
        BuildFailed: it cannot be made, and nothing half made is left; or it was told as made, and no server starts.
    """
    image = Publication.of(Path(job.root) / "images", job.image, job.build_id)
    content = image.made / "content"
    with _full_disk_told():
        with _removed_on_failure(image.made):
            reporter.phase(Phase.FETCHING, "Fetching the repository")
            notes = fetch(job, content, reporter, environment)
            definition = definition_in(content)
            check_scripts(definition.scripts)
            reporter.phase(Phase.BUILDING, "Making the environment")
        key = definition.key(job.image, EnvironmentSettings(**job.settings).as_text())
        publication = Publication.of(Path(job.root) / "environments", key, job.build_id)
        with locked(publication.made.parent, key, lambda: reporter.log("Waiting for another build that is making the same environment.")):
            with _removed_on_failure(image.made):
                prefix, trial = _environment(job, definition, content, publication, reporter, environment)
                manifest = _manifest(job, definition, content, key, prefix) | {"notes": [*notes, *definition.notes]}
                write_in_one_step(image.made / MANIFEST, manifest)
                image.publish()
            if trial:
                reporter.made()
                trial.run(_NICENESS)
                _complete(prefix)
                write_in_one_step(image.made / MANIFEST, manifest | {"environment_bytes": _bytes_of(prefix)})


@contextmanager
def _full_disk_told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise disk_full() from error
        raise


@contextmanager
def _removed_on_failure(folder: Path) -> Iterator[None]:
    try:
        yield
    except (BuildFailed, OSError):
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _manifest(job: Job, definition: Definition, content: Path, key: str, prefix: Path) -> dict[str, str | int | list[str] | None]:
    return {
        "environment": str(prefix),
        "key": key,
        "content": str(content),
        "content_bytes": size_of(content),
        "environment_bytes": _bytes_of(prefix),
        "start": definition.start,
        "import_from": import_roots(prefix, content),
        "repo": job.url,
        "ref": job.ref,
        "commit": job.commit,
    }


def _environment(
    job: Job, definition: Definition, content: Path, publication: Publication, reporter: Reporter, environment: Mapping[str, str]
) -> tuple[Path, ServerTrial | None]:
    """Return the path of the environment, made now unless an equal one is there, and what tries it if that is still to be done."""
    _report_what_was_found(definition, content, reporter)
    if _is_complete(publication.link) and not job.force and not definition.tied_to_commit:
        reporter.log(f"Found the environment {publication.link.name}; nothing to install.")
        return publication.link.resolve(), None
    installer = Installer(job, definition, content, publication.made, reporter, environment)
    others = publication.newest_of_others()
    with _removed_on_failure(publication.made):
        try:
            trial = installer.install(others)
        finally:
            shutil.rmtree(aside_of(content), ignore_errors=True)
        is_tried = trial.is_known(others)
        if job.force and not is_tried:  # it replaces an environment, and an image
            trial.run()
            is_tried = True
        if is_tried:
            _complete(publication.made)
    publication.publish()
    return publication.made, None if is_tried else trial


def _complete(environment: Path) -> None:
    """Note how large an environment is that was tried, and let nobody write to it any more."""
    write_in_one_step(environment / SIZE, {"bytes": size_of(environment)})
    make_read_only(environment)


def _is_complete(environment: Path) -> bool:
    """Say whether an environment is there that was tried, so that other images may stand on it."""
    return (environment / "bin" / "python").exists() and (environment / SIZE).exists()


def _bytes_of(environment: Path) -> int:
    """Return how many bytes an environment holds; 0 as long as it is tried, which may make bytecode."""
    size: int = json.loads((environment / SIZE).read_text())["bytes"] if _is_complete(environment) else 0
    return size


def _report_what_was_found(definition: Definition, content: Path, reporter: Reporter) -> None:
    files = ", ".join(definition.files) or "nothing, so it is a plain JupyterLab"
    reporter.log(f"The environment is described by {files}.")
    if (content / "uv.toml").exists():
        reporter.log("The file uv.toml is not read; name package indexes in requirements.txt or in pyproject.toml.")
    for note in definition.notes:
        reporter.log(note)
    if definition.tied_to_commit:
        reporter.log(f"It belongs to this commit alone: {definition.tied_to_commit}.")
    else:
        reporter.log("It is shared by all commits that describe it the same way: nothing in it depends on the rest of the repository.")
