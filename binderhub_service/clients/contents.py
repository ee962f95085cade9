"""Files that people gave instead of a repository, each under the SHA-256 of its bytes; the same bytes are kept once.

Standard library only: build processes read here what the service has written.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import BodyTooLarge, InvalidRequest, NotFound

FOLDER = "contents"
GIVEN = "content:"
"""What the ``url`` of a source begins with that is no repository; its kind follows."""
DOCKERFILE, ARCHIVE, CONTEXT = f"{GIVEN}dockerfile", f"{GIVEN}archive", f"{GIVEN}context"
"""A Dockerfile; an archive that is taken for a repository; an archive or a Dockerfile that is built as Docker alone would."""
_DIGEST = re.compile(r"[0-9a-f]{64}")
_PART = ".part"
_ABANDONED_SECONDS = 24 * 3600


def is_digest(text: str) -> bool:
    """Say whether a text is a SHA-256 as files are named by: 64 small hexadecimal digits."""
    return _DIGEST.fullmatch(text) is not None


@dataclass(frozen=True)
class ContentLimits:
    """What a file may be.

    Attributes:
        file_bytes: how large it may be.
        kept_seconds: how long it is kept after it was last asked for; 0 for ever.
    """

    file_bytes: int = 256 * 1024**2
    kept_seconds: float = 30 * 24 * 3600


class ContentWriter:
    """Takes the bytes of one file as they come.

    Attributes:
        bytes: how many there are so far.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self.bytes = 0
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._hash = hashlib.sha256()
        descriptor, name = tempfile.mkstemp(suffix=_PART, dir=folder)
        self._file, self._path = os.fdopen(descriptor, "wb"), Path(name)

    def write(self, chunk: bytes) -> None:
        """Take more; raises `BodyTooLarge` beyond the limit."""
        self.bytes += len(chunk)
        if self.bytes > self._limit_bytes:
            message = f"The file is larger than the {self._limit_bytes} bytes that are taken here."
            raise BodyTooLarge(message, code="file_too_large", hint="Leave out what the build does not need.")
        self._hash.update(chunk)
        self._file.write(chunk)

    def keep(self) -> str:
        """Keep the file, and return its SHA-256 in hexadecimal digits."""
        self._file.close()
        digest = self._hash.hexdigest()
        self._path.replace(self._folder / digest)
        return digest

    def discard(self) -> None:
        """Remove what is not kept; may be called twice."""
        self._file.close()
        self._path.unlink(missing_ok=True)


class Contents:
    """The files of one state directory.

    Args:
        state: the state directory.
    """

    def __init__(self, state: Path, limits: ContentLimits = ContentLimits()) -> None:  # frozen
        self._folder = state / FOLDER
        self.limits = limits

    def begin(self) -> ContentWriter:
        """Return what takes a new file; its `discard` is to be called in the end."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return ContentWriter(self._folder, self.limits.file_bytes)

    @contextmanager
    def writing(self) -> Iterator[ContentWriter]:
        """Yield what takes a new file, and remove what is not kept when the block ends."""
        writer = self.begin()
        try:
            yield writer
        finally:
            writer.discard()

    def put(self, content: bytes) -> str:
        """Keep bytes, and return their SHA-256; raises `BodyTooLarge`."""
        with self.writing() as writer:
            writer.write(content)
            return writer.keep()

    def use(self, digest: str) -> Path:
        """Return the file of a digest, and note that somebody needs it.

        Raises:
            InvalidRequest: it is no SHA-256.
            NotFound: there is no such file (``content_not_found``), or not any more.
        """
        if not is_digest(digest):
            raise InvalidRequest("This names no file: a file is named by the SHA-256 of its bytes, in 64 hexadecimal digits.")
        path = self._folder / digest
        try:
            os.utime(path)
        except FileNotFoundError as error:
            raise NotFound("There is no file with this SHA-256 here, or not any more.", code="content_not_found", hint="Upload it again.") from error
        return path

    def prune(self) -> None:
        """Remove what nobody has asked for in the time that files are kept, and what uploads that broke off have left."""
        if not self._folder.is_dir():
            return
        for path in self._folder.iterdir():
            seconds = _ABANDONED_SECONDS if path.suffix == _PART else self.limits.kept_seconds
            try:
                if seconds and path.stat().st_mtime < time.time() - seconds:
                    path.unlink()
            except FileNotFoundError:
                continue
