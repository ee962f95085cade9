"""Files that people gave instead of a repository, put where a checkout would be."""

from __future__ import annotations

import shutil
from pathlib import Path

from ...clients import contents
from ...clients.contents import Contents
from ...errors import BuildFailed, NotFound
from ..archives import is_archive, unpack
from ..job import Job
from ..reporter import Reporter


def place(job: Job, content: Path, reporter: Reporter) -> None:
    """Make a folder of the job's file: of an archive what it holds, else a Dockerfile.

    Raises:
        BuildFailed: the file is gone, or it is an archive that cannot be unpacked.
    """
    reporter.log(f"Taking {job.repo}")
    try:
        file = Contents(Path(job.root)).use(job.commit)
    except NotFound as error:
        raise BuildFailed(error.message, code=error.code, hint=error.hint) from error
    if job.url == contents.DOCKERFILE or (job.url == contents.CONTEXT and not is_archive(file)):
        content.mkdir(parents=True)
        shutil.copyfile(file, content / "Dockerfile")
    else:
        unpack(file, content, job.limits.unpacking)
