"""Names of images, environments, builds and servers; pure.

Slugs are formed as BinderHub forms them, so that an operator who moves over recognises them (and, in a registry, keeps the
images); the tests repeat vectors taken from a running BinderHub.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from datetime import datetime
from functools import lru_cache

import escapism

from .models import Source

_SAFE = set(string.ascii_letters + string.digits)
_HEX_MILLISECONDS = 11  # enough until the year 2527


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
    if settings:
        name += f"-{digest(settings, 8)}"
    return name.replace("_", "-").lower()


def environment_name(prefix: str, key: str) -> str:
    """Return the name of the image that holds an environment without any commit's content."""
    return f"{prefix}environment:{key}".replace("_", "-").lower()


@lru_cache
def directory_name(source: Source, settings: str) -> str:
    """Return the name of a source's image as a directory: slug, commit and the settings' digest, in one path segment."""
    return f"{safe_slug(source.slug, 120)}-{source.commit}-{digest(settings, 8)}".lower()


def server_name(repo: str, ref: str) -> str:
    """Return the name of the named server for a repository and a ref; the same for the same two, always valid in a hub.

    JupyterHub 6 takes only names of ``[a-z0-9-]`` without a double dash.
    """
    basename = repo.rstrip("/").rpartition("/")[2].removesuffix(".git")
    label = re.sub(r"[^a-z0-9]+", "-", f"{basename}-{ref}".lower()).strip("-")[:30].strip("-") or "server"
    return label + "-" + digest(f"{repo}\0{ref}", 8)


def new_build_id(now: datetime) -> str:
    """Return an id that sorts by time: milliseconds since 1970 in 11 hexadecimal digits, then 8 random ones."""
    milliseconds = int(now.timestamp() * 1000)
    return f"{milliseconds:0{_HEX_MILLISECONDS}x}{secrets.token_hex(4)}"


def digest(text: str, length: int) -> str:
    """Return the first `length` hexadecimal digits of the text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]
