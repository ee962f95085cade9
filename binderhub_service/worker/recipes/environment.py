"""An image as a directory: the commit's checkout and a uv environment, made or found, published together."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Mapping
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

SIZE = ".size.json"


def make_image(job: Job, reporter: Reporter, environment: Mapping[str, str]) -> None:
    """Make the job's image; when this returns, it is there.

    Raises:
        BuildFailed: it cannot be made; nothing half made is left.
    """
    image = Publication.of(Path(job.root) / "images", job.image, job.build_id)
    content = image.made / "content"
    try:
        reporter.phase(Phase.FETCHING, "Fetching the repository")
        notes = fetch(job, content, reporter, environment)
        definition = definition_in(content)
        check_scripts(definition.scripts)
        reporter.phase(Phase.BUILDING, "Making the environment")
        key = definition.key(job.image, EnvironmentSettings(**job.settings).as_text())
        publication = Publication.of(Path(job.root) / "environments", key, job.build_id)
        with locked(publication.made.parent, key, lambda: reporter.log("Waiting for another build that is making the same environment.")):
            prefix = _environment(job, definition, content, publication, reporter, environment)
            write_in_one_step(image.made / MANIFEST, _manifest(job, definition, content, key, prefix) | {"notes": [*notes, *definition.notes]})
            image.publish()
    except OSError as error:
        shutil.rmtree(image.made, ignore_errors=True)
        if error.errno == errno.ENOSPC:
            raise disk_full() from error
        raise
    except BuildFailed:
        shutil.rmtree(image.made, ignore_errors=True)
        raise


def _manifest(job: Job, definition: Definition, content: Path, key: str, prefix: Path) -> dict[str, str | int | list[str] | None]:
    return {
        "environment": str(prefix),
        "key": key,
        "content": str(content),
        "content_bytes": size_of(content),
        "environment_bytes": json.loads((prefix / SIZE).read_text())["bytes"],
        "start": definition.start,
        "import_from": import_roots(prefix, content),
        "repo": job.url,
        "ref": job.ref,
        "commit": job.commit,
    }


def _environment(
    job: Job, definition: Definition, content: Path, publication: Publication, reporter: Reporter, environment: Mapping[str, str]
) -> Path:
    """Return the path of the environment, made now unless an equal one is there."""
    _report_what_was_found(definition, content, reporter)
    if (publication.link / "bin" / "python").exists() and not job.force and not definition.tied_to_commit:
        reporter.log(f"Found the environment {publication.link.name}; nothing to install.")
        return publication.link.resolve()
    try:
        Installer(job, definition, content, publication.made, reporter, environment).install(publication.newest_of_others())
        write_in_one_step(publication.made / SIZE, {"bytes": size_of(publication.made)})
    except BuildFailed:
        shutil.rmtree(publication.made, ignore_errors=True)
        raise
    finally:
        shutil.rmtree(aside_of(content), ignore_errors=True)
    make_read_only(publication.made)
    publication.publish()
    return publication.made


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
