"""boatyard's words: what its requests ask for, and its replies; pure."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from ...clients.reference import is_full_name

TOO_LITTLE = "Insufficient Information.  Must provide at least an Image Name and a Dockerfile/Tarurl."
UNKNOWN_JOB = "Jobid doesn't exist in the cache.  Bad request."
NO_LOGS = "Fetching logs..."
TAR_URL_FAILED = "Failed response from Tarball Url."
GITHUB_FAILED = "Failed download from github."
NO_SOURCE = "Failed in the ReaderForInputType.  Got to default case."
_TEXTS = ("image_name", "username", "password", "email", "dockerfile", "tar_url", "github_username", "github_reponame", "github_tag")
_LONGEST_NAME = 500


class BadBuildRequest(ValueError):
    """A request that is refused with 400; the text is the answer."""


@dataclass(frozen=True)
class AskedImage:
    """What a request asks for.

    Attributes:
        image_name: with its tag.
        text: a Dockerfile's; empty if none came.
        tar: an archive that came within the JSON; None if none did.
        url: where an archive is; empty if none is named.
        is_github: whether that is an archive of GitHub's.
    """

    image_name: str
    username: str
    password: str
    text: str = ""
    tar: bytes | None = None
    url: str = ""
    is_github: bool = False


def asked_for(manifest: Any, github: str, *, has_upload: bool) -> AskedImage:
    """Return what a request asks for: of several sources, a Dockerfile comes before an archive, its address, and GitHub.

    Args:
        manifest: the parsed JSON.
        github: GitHub's address.
        has_upload: whether an archive came beside it.

    Raises:
        BadBuildRequest: it says too little, or something of a wrong type.
    """
    if not isinstance(manifest, Mapping):
        raise BadBuildRequest("json: cannot unmarshal the body into an object")
    given = {key.lower(): value for key, value in manifest.items() if value is not None}
    texts = {name: given.get(name, "") for name in _TEXTS}
    for name, value in texts.items():
        if not isinstance(value, str):
            raise BadBuildRequest(f"json: cannot unmarshal {name} into a string")
    tar, text = _tar_in(given.get("tarfile")), texts["dockerfile"]
    has_source = text or has_upload or tar is not None or texts["tar_url"] or texts["github_reponame"]
    if not texts["image_name"] or not has_source:
        raise BadBuildRequest(TOO_LITTLE)
    name = texts["image_name"] if ":" in texts["image_name"].rpartition("/")[2] else f"{texts['image_name']}:latest"
    if len(name) > _LONGEST_NAME or not name[0].isalnum() or not is_full_name(name):  # it becomes part of an address of the engine's
        raise BadBuildRequest("The image name is none that an image can have.")
    asked = AskedImage(name, texts["username"], texts["password"], text=text, tar=tar)
    if text or has_upload or tar is not None:
        return asked
    url = texts["tar_url"] or _github_url(texts, github)
    return replace(asked, url=url, is_github=not texts["tar_url"])


def _tar_in(value: Any) -> bytes | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadBuildRequest("json: cannot unmarshal TarFile into bytes")
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise BadBuildRequest("illegal base64 data in TarFile") from error


def _github_url(texts: Mapping[str, str], github: str) -> str:
    """Return where an archive of a repository is; empty if something of its name is missing."""
    user, repo, tag = (texts[f"github_{name}"] for name in ("username", "reponame", "tag"))
    return f"{github}/{quote(user, safe='')}/{quote(repo, safe='')}/archive/{quote(tag)}.tar.gz" if user and tag else ""


def written(value: Mapping[str, str]) -> str:
    """Return an answer as text."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def key_in(header: str) -> str:
    """Return the key in the header ``Authorization``: alone, or behind ``token`` or ``Bearer``."""
    word, _, rest = header.strip().partition(" ")
    return rest.strip() if word.lower() in {"token", "bearer"} else header.strip()
