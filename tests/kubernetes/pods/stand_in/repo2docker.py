#!/opt/binder/bin/python3
"""Stands in for repo2docker where its base image and conda are not to be had: same options, the same engine, another Dockerfile.

The image notes the files that it was made of in /made-of. ``install.R`` needs ``needed``; with ``broken`` in ``requirements.txt`` no server starts.
"""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path

from repo2docker.app import Repo2Docker
from repo2docker.engine import BuildError

from binderhub_service.worker.buildah_engine import BuildahEngine

DOCKERFILE = """\
FROM {base}
ENV REPO_DIR=/home/jovyan
RUN useradd --create-home --uid 1000 jovyan && printf '#!/bin/sh\\n{program}\\n' > /usr/local/bin/jupyterhub-singleuser \\
    && chmod +x /usr/local/bin/jupyterhub-singleuser
RUN echo "{files}" > /made-of && {check}
COPY --chown=1000:1000 src/ /home/jovyan/
WORKDIR /home/jovyan
USER 1000
CMD ["jupyterhub-singleuser"]
"""


def main() -> int:
    """Build."""
    folder = Path(sys.argv[-1])
    options = [word.removeprefix("--").partition("=")[::2] for word in sys.argv[1:-1]]
    base = next(line.split("'")[1] for line in Path(dict(options)["config"]).read_text().splitlines() if "base_image" in line)
    names = sorted(path.name for path in folder.iterdir() if path.name != ".git")
    check = "scan-needed" if "install.R" in names and "needed" not in names else "true"
    requirements = folder / "requirements.txt"
    program = "exit 1" if requirements.exists() and "broken" in requirements.read_text() else "echo 9.9.9"
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        archive.add(folder, "src")
        text = DOCKERFILE.format(base=base, files=" ".join(names), check=check, program=program).encode()
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    context.seek(0)
    labels = dict(value.partition("=")[::2] for name, value in options if name == "label")
    try:
        for line in BuildahEngine(parent=Repo2Docker()).build(tag=dict(options)["image-name"], fileobj=context, labels=labels):
            sys.stdout.write(line)
            sys.stdout.flush()
    except BuildError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
