"""Stands in for repo2docker where its base image and conda are not to be had: same options, same log, another Dockerfile.

It notes every run and the files it was given in PROGRAM.notes, one line a run. In the folder that is to be built, a file
``tell`` holds lines that are told, ``wait-for`` names a file that is waited for, ``fail`` makes it fail, ``install.R`` needs ``needed``, and
every "slow" in requirements.txt takes ten seconds; with "broken" there, no server starts from the image.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

DOCKERFILE = """\
FROM debian:12
ENV REPO_DIR=/home/jovyan
RUN useradd --create-home --uid 1000 jovyan && printf '#!/bin/sh\\n{program}\\n' > /usr/local/bin/jupyterhub-singleuser \\
    && chmod +x /usr/local/bin/jupyterhub-singleuser
COPY --chown=1000:1000 . /home/jovyan/
RUN sleep {seconds}
WORKDIR /home/jovyan
USER jovyan
CMD ["jupyterhub-singleuser"]
"""


def tell(message: str, phase: str = "building") -> None:
    """Write a line of log."""
    sys.stdout.write(json.dumps({"message": message + "\n", "phase": phase}) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Build."""
    if "--version" in sys.argv:
        sys.stdout.write("2026.4.0\n")
        return 0
    folder = Path(sys.argv[-1])
    options = dict(word.removeprefix("--").partition("=")[::2] for word in sys.argv[1:-1])
    with Path(sys.argv[0] + ".notes").open("a") as notes:
        notes.write(" ".join(sorted(path.name for path in folder.rglob("*") if ".git" not in path.parts)) + "\n")
    for line in (folder / "tell").read_text().splitlines() if (folder / "tell").exists() else ():
        tell(line)
    if (folder / "wait-for").exists():
        gate = Path((folder / "wait-for").read_text().strip())
        while not gate.exists():
            time.sleep(0.05)
    lacks = (folder / "install.R").exists() and not (folder / "needed").exists()
    if (folder / "fail").exists() or lacks:
        tell("Error during build: no", "failed")
        return 0
    wanted = (folder / "requirements.txt").read_text() if (folder / "requirements.txt").exists() else ""
    dockerfile = DOCKERFILE.format(seconds=wanted.count("slow") * 10, program="exit 3" if "broken" in wanted else "echo 9.9.9")
    labels = [word for word in sys.argv if word.startswith("--label=")]
    command = ["docker", "build", "--quiet", f"--tag={options['image-name']}", *labels, "--file=-", str(folder)]
    return subprocess.run(command, input=dockerfile.encode(), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
