"""What may be the name of an image, and which images an operator lets people launch by name."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .refusal import Refused

# How an image's name is told from a repository's address, as other programs of containers write it, too.
TRANSPORT = "docker://"
MAX_IMAGE_CHARACTERS = 512
_PART = "[a-z0-9]+(?:(?:[.]|_{1,2}|-+)[a-z0-9]+)*"
_HOST = "[A-Za-z0-9][A-Za-z0-9.-]{0,252}(?::[0-9]{1,5})?"
_END = "(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
_IMAGE = re.compile(rf"(?:{_HOST}/)?{_PART}(?:/{_PART})*{_END}")


class ImageNotAllowed(Refused):
    """The operator does not let people launch this image by name."""


def check_image(name: str) -> str:
    """Return an image's name, ``[HOST[:PORT]/]PATH[:TAG][@sha256:DIGEST]``, without `TRANSPORT`.

    Raises:
        Refused: it is none (``invalid_image``).
    """
    plain = name.strip().removeprefix(TRANSPORT)
    if len(plain) > MAX_IMAGE_CHARACTERS or not _IMAGE.fullmatch(plain):
        raise Refused("This is not the name of an image.", "Give a name such as quay.io/jupyter/base-notebook:latest.", code="invalid_image")
    return plain


def is_image_allowed(name: str, patterns: Iterable[str]) -> bool:
    """Say whether an image may be launched by name.

    Args:
        name: as `check_image` returns it.
        patterns: the operator's; ``*`` stands for any characters but ``/``. One has to match the whole name.
    """
    return any(re.fullmatch("[^/]*".join(map(re.escape, pattern.split("*"))), name) for pattern in patterns)


def check_allowed_image(name: str, patterns: Iterable[str]) -> str:
    """Return an image's name if the operator lets people launch it.

    Args:
        name, patterns: as `check_image` and `is_image_allowed` take them.

    Raises:
        ImageNotAllowed: it is not among them.
        Refused: it is no image's name (``invalid_image``).
    """
    image, allowed = check_image(name), tuple(patterns)
    if not allowed:
        hint = "Name a repository, or ask an administrator to allow images in ImageProvider.allowed_images."
        raise ImageNotAllowed("Images cannot be launched by name here.", hint)
    if not is_image_allowed(image, allowed):
        raise ImageNotAllowed("This image may not be launched here.", "Ask an administrator which images are allowed.")
    return image
