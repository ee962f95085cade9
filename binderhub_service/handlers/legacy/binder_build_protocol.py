"""binder-build's words: requests for builds from its requests, and its replies; pure. It was written in JavaScript, whose truth is imitated."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from ...errors import BinderError
from ...models import NamedBuild, Request, Template, iso

ALREADY_BUILDING = {"type": "alreadyBuilding", "error": "Already building the image"}
NO_BUILD = {"type": "noBuildInfo", "error": "Could not get build information for requested image"}
BUILDS_UNKNOWN = {"type": "badQuery", "error": "Could not query the Binder database for build information"}
NO_TEMPLATE = {"type": "doesNotExist", "error": "The requested resource does not exist"}
TEMPLATES_UNKNOWN = {"type": "badDatabase", "error": "Could not fetch template from the Binder database"}
MISSING = "Request does not contain the required parameters for this endpoint: repository"
UNSUPPORTED = "Error: unsupported source"
FIRST_OF = ("requirements.txt", "environment.yml", "Dockerfile")
"""The files that describe an environment, in the description's order."""

_GITHUB = "github.com"
_DEFAULT_PORT = 8888
_LONGEST_NAME = 640  # what an index of PostgreSQL takes, however it is written
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SEPARATOR = re.compile(r"[\s_]")


@dataclass(frozen=True)
class Asked:
    """What a request asks for.

    Attributes:
        repository: the address as it was sent.
        name, display_name: what the build is known by.
        request: what is to be built; None where no build of such an address is tried.
        is_github: whether it is on GitHub, which is all that the original could build.
    """

    repository: str
    name: str
    display_name: str
    request: Request | None
    is_github: bool
    force: bool


class Malformed(Exception):
    """A request that is refused; `status` and the text are the answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def asked_for(body: Any, github_hosts: Collection[str] = ()) -> Asked:
    """Return what a body asks for.

    Args:
        body: parsed JSON.
        github_hosts: further hosts with ports that are a GitHub.

    Raises:
        Malformed: it names no repository.
    """
    given = {kebab_case(key): value for key, value in body.items()} if isinstance(body, dict) else {}
    if "repository" not in given:
        raise Malformed(422, MISSING)
    repository = given["repository"]
    if not isinstance(repository, str):
        raise Malformed(500, "TypeError: Parameter 'url' must be a string")
    asked = _asked_for(repository, github_hosts, force=is_true(given.get("force")))
    if not asked.name or len(asked.name) > _LONGEST_NAME or not repository.isprintable():
        raise Malformed(422, MISSING)
    return asked


def _asked_for(repository: str, github_hosts: Collection[str], *, force: bool) -> Asked:
    try:
        address = urlsplit(repository)
        host = (address.hostname or "") if address.scheme in {"http", "https"} else ""
    except ValueError:
        return Asked(repository, repository, repository, None, is_github=False, force=force)
    if not host:
        return Asked(repository, repository, repository, None, is_github=False, force=force)
    if not (host.endswith(_GITHUB) or address.netloc.lower() in github_hosts):
        return Asked(repository, repository, repository, Request(repository, first_of=FIRST_OF), is_github=False, force=force)
    path = address.path.removeprefix("/")
    owner, _, rest = path.partition("/")
    project, _, below = rest.partition("/")
    ref = unquote(below.removeprefix("tree/").rstrip("/")) if below.startswith("tree/") else ""
    request = Request(f"{address.scheme}://{address.netloc}/{owner}/{project}", ref, first_of=FIRST_OF)
    return Asked(repository, path.replace("/", "-"), path, request, is_github=True, force=force)


def is_true(value: Any) -> bool:
    """Say whether JavaScript takes a value for true; the text ``false``, which clients send, is not."""
    if isinstance(value, str):
        return value.lower() not in {"", "false"}
    if isinstance(value, float) and math.isnan(value):
        return False
    return value is not None and value is not False and not (isinstance(value, int | float) and value == 0)


def kebab_case(key: str) -> str:
    """Return a key as the original read it: ``repoName`` and ``Repo_Name`` as ``repo-name``."""
    return _SEPARATOR.sub("-", _CAPITAL.sub("-", key)).lower()


def error_text(asked: Asked, error: BinderError) -> str:
    """Return what goes down as the error of a build that could not be begun."""
    return f"Error: {error.message}" if asked.is_github else UNSUPPORTED


def started_json(named: NamedBuild) -> dict[str, Any]:
    """Return the answer to a request for a build: what the original says, and what its description says."""
    return {
        "repository": named.repository,
        "name": named.name,
        "display-name": named.display_name,
        "start-time": iso(named.started),
        "repo": named.repository,
        "phase": "fetching",
        "status": "running",
    }


def build_json(named: NamedBuild) -> dict[str, Any]:
    """Return a build as it is now."""
    return {
        "name": named.name,
        "display-name": named.display_name,
        "start-time": iso(named.started),
        "status": named.status,
        "phase": named.phase,
        "repository": named.repository,
        **({"error": named.error} if named.error else {}),
    }


def template_json(template: Template) -> dict[str, Any]:
    """Return a template as binder-build writes it."""
    return {
        "port": template.bind_port or _DEFAULT_PORT,
        "image-source": template.image,
        "name": template.name,
        "image-name": template.name,
        "command": _words(template.command),
        "time-modified": iso(template.modified),
        "time-created": iso(template.created),
        "services": [],
    }


def error_json(error: BinderError) -> Mapping[str, str]:
    """Return an error for which the original has no words."""
    return {"type": error.code, "error": error.message}


def written(value: object) -> str:
    """Return JSON as JavaScript writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return [command]
