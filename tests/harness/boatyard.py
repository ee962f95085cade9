"""boatyard's API as its clients use it."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx

from tests.harness.archives import archive_of
from tests.harness.waiting import wait_for
from tests.legacy.conftest import KEY, Api

BUILD_SECONDS = 180
PASSWORD = "never-to-be-seen-again"
FILE_BYTES = 2**20
_JOB_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TYPES = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"


def begun(boatyard: Api, **options: Any) -> str:
    """Begin a job; return its id."""
    reply = boatyard.ask("POST", "/api/v1/build", f"token {KEY}", **options)
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "application/json"), reply.text
    assert reply.text == json.dumps({"JobIdentifier": reply.json()["JobIdentifier"]}, indent=2)
    assert _JOB_ID.fullmatch(reply.json()["JobIdentifier"])
    return str(reply.json()["JobIdentifier"])


def status_of(boatyard: Api, job: str) -> str:
    """Return a job's status."""
    reply = boatyard.ask("GET", f"/api/v1/{job}/status", KEY)
    assert reply.status_code == 200, reply.text
    return str(reply.json()["Status"])


def logs_of(boatyard: Api, job: str) -> str:
    """Return what a job told so far."""
    return str(boatyard.ask("GET", f"/api/v1/{job}/logs", KEY).json()["Logs"])


def ended(boatyard: Api, job: str) -> str:
    """Return the status that a job ends with."""
    wait_for(lambda: status_of(boatyard, job) not in {"Building", "Pushing"}, "the end of the job", BUILD_SECONDS, every_seconds=0.3)
    return status_of(boatyard, job)


def is_pushed(image: str, login: tuple[str, str] | None = None) -> bool:
    """Say whether a registry that speaks plain http has an image."""
    registry, _, rest = image.partition("/")
    repository, _, tag = rest.rpartition(":")
    return httpx.head(f"http://{registry}/v2/{repository}/manifests/{tag}", headers={"Accept": _TYPES}, auth=login).status_code == 200


def archives_of_boatyard(base: str) -> dict[str, bytes]:
    """Return archives by the paths at which a web server has them, one of them where GitHub has one of a tag.

    Args:
        base: the image that what is built of them begins with.
    """
    files = {"Dockerfile": f"FROM {base}\nCOPY data.txt /\nRUN cat /data.txt\n", "data.txt": "from the web\n"}
    of_tag = archive_of({f"r-1.0/{name}": content for name, content in {**files, "data.txt": "from GitHub\n"}.items()})
    return {"/context.tar.xz": archive_of(files), "/u/r/archive/v1.0.tar.gz": of_tag}
