"""Names of images, environments, builds and servers; pure.

Slugs are formed as BinderHub forms them, so that an operator who moves over recognises them (and, in a registry, keeps the
images); the tests repeat vectors taken from a running BinderHub.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import unicodedata
from datetime import datetime
from functools import lru_cache

import escapism

from .models import Source

_SAFE = set(string.ascii_letters + string.digits)
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHORT_COMMIT = 7
_SERVER_CHARACTERS = 30
_SERVER_DIGEST = 8
_REF_CHARACTERS = 10
_HEX_MILLISECONDS = 11  # enough until the year 2527
_BUILD_ID = re.compile(r"[0-9a-f]{19}")


def safe_slug(text: str, limit: int, hash_length: int = 6) -> str:
    """Return a name of at most `limit` characters from ``[a-z0-9-]`` that differs for different texts.

    Unsafe bytes become ``-xx``; the result ends in a dash and `hash_length` digits of the text's SHA-256.
    """
    escaped = escapism.escape(text, safe=_SAFE, escape_char="-")
    digest = hashlib.sha256(text.encode()).hexdigest()[:hash_length]
    return f"{escaped[: limit - hash_length - 1]}-{digest}".lower()


def image_name(source: Source, prefix: str, settings: str = "") -> str:
    """Return the name of a source's image in a registry or an engine, ``PREFIXslug:commit``, as BinderHub forms it.

    Args:
        prefix: comes before the slug: registry and project, e.g. ``registry.example.org/project/binder-``.
        settings: the build settings that differ from the defaults, as text; their digest becomes part of the tag, so that
            images made with other settings have other names. Empty if none do: then the name is exactly BinderHub's.
    """
    name = f"{prefix}{safe_slug(source.slug, 255 - len(prefix))}:{source.commit}"
    if shaped_by := _shaped_by(source, settings):
        name += f"-{digest(shaped_by, 8)}"
    return name.replace("_", "-").lower()


def environment_name(prefix: str, key: str) -> str:
    """Return the name of the image that holds an environment without any commit's content."""
    return f"{prefix}environment:{key}".replace("_", "-").lower()


def layers_name(prefix: str, repo: str, ref: str) -> str:
    """Return the name under which builds of a repository and ref leave layers for each other."""
    both = f"{repo}\0{ref}"
    return f"{prefix}layers:{digest(both, 32)}".replace("_", "-").lower()


def unchecked_name(prefix: str, name: str) -> str:
    """Return the name under which layers of an image are pushed while it is not known whether a server can be started from it."""
    return f"{prefix}unchecked:{digest(name.rpartition(':')[0], 32)}".replace("_", "-").lower()


def untried_environment_name(prefix: str, key: str, build_id: str) -> str:
    """Return the name under which a build pushes an environment before it has tried whether a server can be started from it."""
    return f"{prefix}unchecked:{key}-{build_id}".replace("_", "-").lower()


def passing_repositories(prefix: str) -> tuple[str, str]:
    """Return the repositories of the names that an engine has only while a build goes on."""
    return f"{prefix}layers", f"{prefix}unchecked"


def given_name(prefix: str, build_id: str) -> str:
    """Return the name under which a registry has, while a build goes on, the file that somebody gave instead of a repository."""
    return f"{prefix}given:{build_id}".replace("_", "-").lower()


@lru_cache
def directory_name(source: Source, settings: str) -> str:
    """Return the name of a source's image as a directory: slug, commit and the settings' digest, in one path segment."""
    return f"{safe_slug(source.slug, 120)}-{source.commit}-{digest(_shaped_by(source, settings), 8)}".lower()


def _shaped_by(source: Source, settings: str) -> str:
    """Return the settings, with what the source says of which files count."""
    return "\n".join([settings, *source.first_of])


def server_name(repo: str, ref: str) -> str:
    """Return the name of the named server for a repository and a ref: the same for the same two, another for others.

    JupyterHub 6 takes names of 1 to 30 characters from ``[a-z0-9-]`` that begin with a letter, end with a letter or a digit and have
    no two dashes in a row (its ``slugs.is_valid_safe_slug``); JupyterHub 5 takes anything without a slash.
    """
    shown = ref[:_SHORT_COMMIT] if _COMMIT.fullmatch(ref) else _label(ref)[:_REF_CHARACTERS].strip("-")
    basename = _label(_basename(repo)) or "server"
    if not basename[0].isalpha():
        basename = f"x-{basename}"
    room = _SERVER_CHARACTERS - len(f"-{shown}") * bool(shown) - 1 - _SERVER_DIGEST
    return "-".join(part for part in (basename[:room].strip("-"), shown, _server_digest(repo, ref)) if part)


def former_server_name(repo: str, ref: str) -> str:
    """Return the name that the server for a repository and a ref had before names were made for JupyterHub 6; people may still have it."""
    label = re.sub(r"[^a-z0-9]+", "-", f"{_basename(repo)}-{ref}".lower()).strip("-")[:30].strip("-") or "server"
    return f"{label}-{_server_digest(repo, ref)}"


def _server_digest(repo: str, ref: str) -> str:
    return digest(f"{repo}\0{ref}", _SERVER_DIGEST)


def _basename(repo: str) -> str:
    return repo.rstrip("/").rpartition("/")[2].removesuffix(".git")


def _label(text: str) -> str:
    """Return what a text has in letters and digits of ASCII, accents left out, with dashes for all else."""
    plain = unicodedata.normalize("NFKD", text).lower()
    without_accents = "".join(character for character in plain if not unicodedata.combining(character))
    return re.sub(r"[^a-z0-9]+", "-", without_accents).strip("-")


def new_build_id(now: datetime) -> str:
    """Return an id that sorts by time: milliseconds since 1970 in 11 hexadecimal digits, then 8 random ones."""
    return build_id_of(int(now.timestamp() * 1000))


def build_id_of(milliseconds: int) -> str:
    """Return an id of a moment, in milliseconds since 1970, as `new_build_id`."""
    return f"{milliseconds:0{_HEX_MILLISECONDS}x}{secrets.token_hex(4)}"


def milliseconds_of(build_id: str) -> int:
    """Return the moment in an id of `build_id_of`; 0 for any other text."""
    return int(build_id[:_HEX_MILLISECONDS], 16) if _BUILD_ID.fullmatch(build_id) else 0


def digest(text: str, length: int) -> str:
    """Return the first `length` hexadecimal digits of the text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]
