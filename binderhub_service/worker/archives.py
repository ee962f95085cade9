"""Archives of strangers, unpacked: nothing is written outside of a folder, and nothing but plain files, folders and links within it.

Tar archives (plain, or compressed by gzip, bzip2 or xz) and zip archives. What an archive announces is believed only as far as it can do no
harm; how much it really holds is counted while it is unpacked.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO, NoReturn, Protocol

from ..errors import BuildFailed
from .job import UnpackingLimits


class _Readable(Protocol):
    """What is read of an archive that may be compressed."""

    def read(self, size: int, /) -> bytes: ...
    def seek(self, offset: int, /) -> int: ...


_CHUNK_BYTES = 64 * 1024
_LARGEST_HEADER_BYTES = 1024 * 1024
_LONGEST_NAME_BYTES = 2000  # what the folder above it leaves of a path
_LONGEST_PART_BYTES = 255
_TAR_BLOCK_BYTES = 512
_ZIP, _EMPTY_ZIP, _ZIP_ENTRY = b"PK\x03\x04", b"PK\x05\x06", b"PK\x01\x02"
_COMPRESSIONS: dict[bytes, Callable[[IO[bytes]], _Readable]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file, mode="rb"),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError)
_HINT = "Make the archive anew, of plain files, folders and links within it."


def is_archive(file: Path) -> bool:
    """Say whether a file begins as an archive does, and no text does."""
    with file.open("rb") as opened:
        beginning = opened.read(_TAR_BLOCK_BYTES)
    return beginning.startswith((*_COMPRESSIONS, _ZIP, _EMPTY_ZIP)) or b"ustar" in beginning[257:263] or b"\0" in beginning


def unpack(archive: Path, folder: Path, limits: UnpackingLimits) -> None:
    """Unpack an archive into a folder that is not there yet; of an archive with a single folder, what is in that folder.

    Raises:
        BuildFailed: it is no archive, is damaged, holds too much, or holds what may not be unpacked; then nothing is left of it.
    """
    aside = folder.with_name(f"{folder.name}.unpacked")
    try:
        aside.mkdir(parents=True)
        _unpack(archive, _Tree(aside, limits), limits)
        top = list(aside.iterdir())
        inner = top[0] if len(top) == 1 and top[0].is_dir() and not top[0].is_symlink() else aside
        inner.rename(folder)
    except _DAMAGED as error:
        raise _refusal("The archive is damaged, or is not what its beginning says.") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _unpack(archive: Path, tree: _Tree, limits: UnpackingLimits) -> None:
    with archive.open("rb") as file:
        beginning = file.read(8)
        file.seek(0)
        if beginning.startswith((_ZIP, _EMPTY_ZIP)):
            _unzip(file, tree, limits)
        else:
            opened: _Readable = next((open_it(file) for magic, open_it in _COMPRESSIONS.items() if beginning.startswith(magic)), file)
            _untar(opened, tree, limits)
    tree.check_links()


def _untar(file: _Readable, tree: _Tree, limits: UnpackingLimits) -> None:
    try:
        # A tar archive is larger than its files: a header, and maybe two more for a long name, and padding for each.
        bounded = _Bounded(file, limits.bytes + limits.files * 8 * _TAR_BLOCK_BYTES)
        with tarfile.open(fileobj=bounded, mode="r:") as opened:
            for member in opened:
                _place(opened, member, tree)
                opened.members = []  # type: ignore[attr-defined]  # what is unpacked need not be remembered
        while bounded.read(_CHUNK_BYTES):  # to where sums are checked
            pass
    except tarfile.ReadError as error:
        hint = "Send a tar archive, plain or compressed by gzip, bzip2 or xz, or a zip archive."
        raise _refusal("This is no archive that can be unpacked here.", hint) from error
    except OSError as error:
        if isinstance(error, gzip.BadGzipFile) or error.errno is None:  # bz2 says it so
            raise _refusal("The archive is damaged, or is not what its beginning says.") from error
        raise


def _place(opened: tarfile.TarFile, member: tarfile.TarInfo, tree: _Tree) -> None:
    """Put a member into the tree."""
    if member.isdir():
        tree.add_folder(member.name)
    elif member.issym():
        tree.add_link(member.name, member.linkname)
    elif member.islnk():
        tree.add_again(member.name, member.linkname)
    elif member.isreg() and not member.issparse():
        content = opened.extractfile(member)
        if content is None:
            raise tarfile.ReadError
        tree.add_file(member.name, content, is_program=bool(member.mode & stat.S_IXUSR))
    else:
        _refuse(member.name, "is neither a file nor a folder nor a link")


def _unzip(file: IO[bytes], tree: _Tree, limits: UnpackingLimits) -> None:
    _check_entries(file, limits)
    with zipfile.ZipFile(file) as opened:
        for entry in opened.infolist():
            mode = entry.external_attr >> 16
            kind = stat.S_IFMT(mode)
            if entry.is_dir():
                tree.add_folder(entry.filename)
            elif kind == stat.S_IFLNK:
                with opened.open(entry) as content:
                    tree.add_link(entry.filename, content.read(_LONGEST_NAME_BYTES + 1).decode("utf-8", "replace"))
            elif kind in {0, stat.S_IFREG}:
                with opened.open(entry) as content:
                    tree.add_file(entry.filename, content, is_program=bool(mode & stat.S_IXUSR))
            else:
                _refuse(entry.filename, "is neither a file nor a folder nor a link")


def _check_entries(file: IO[bytes], limits: UnpackingLimits) -> None:
    """Count what a zip archive lists before the list is read into memory as a whole."""
    entries, end = 0, b""
    while chunk := file.read(_CHUNK_BYTES):
        entries += (end + chunk).count(_ZIP_ENTRY)
        end = chunk[-len(_ZIP_ENTRY) + 1 :]
    if entries > limits.files:
        raise _too_many(limits)
    file.seek(0)


class _Tree:
    """What is unpacked so far; nothing is ever written through a link."""

    def __init__(self, root: Path, limits: UnpackingLimits) -> None:
        self.root = root
        self._limits = limits
        self._bytes = 0
        self._files = 0
        self._links: list[Path] = []

    def add_folder(self, name: str) -> None:
        self._count()
        self._folder(self._parts(name), name)

    def add_file(self, name: str, content: IO[bytes], *, is_program: bool) -> None:
        path = self._free_path(name)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o755 if is_program else 0o644)
        with os.fdopen(descriptor, "wb") as file:
            while chunk := content.read(_CHUNK_BYTES):
                self._bytes += len(chunk)
                if self._bytes > self._limits.bytes:
                    raise _too_large(self._limits.bytes)
                file.write(chunk)

    def add_link(self, name: str, target: str) -> None:
        path = self._free_path(name)
        if not target or "\0" in target or len(os.fsencode(target)) > _LONGEST_NAME_BYTES or target.startswith("/"):
            _refuse(name, "is a link that leads out of it")
        path.symlink_to(target)
        self._links.append(path)

    def add_again(self, name: str, other: str) -> None:
        """Add a file that was unpacked before under another name, too."""
        parts = self._parts(other)
        known = self.root.joinpath(*parts)
        if any(self.root.joinpath(*parts[:count]).is_symlink() for count in range(1, len(parts) + 1)) or not known.is_file():
            _refuse(name, "is a link to what is no file of it")
        if self._parts(name) == parts:
            _refuse(name, "is a link to itself")
        path = self._free_path(name)
        os.link(known, path, follow_symlinks=False)

    def check_links(self) -> None:
        """Check that every link leads to a place in the tree, whatever other links it leads through."""
        root = self.root.resolve()
        for path in self._links:
            if not path.is_symlink():
                continue  # another member has taken its place
            try:
                target = path.resolve(strict=False)
            except (OSError, RuntimeError) as error:  # in circles
                _refuse(path.relative_to(self.root).as_posix(), "is a link that leads nowhere", error)
            if not target.is_relative_to(root):
                _refuse(path.relative_to(self.root).as_posix(), "is a link that leads out of it")

    def _free_path(self, name: str) -> Path:
        """Return where a member goes; an earlier one of the same name goes away."""
        self._count()
        parts = self._parts(name)
        if not parts:
            _refuse(name, "has no name")
        self._folder(parts[:-1], name)
        path = self.root.joinpath(*parts)
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path.exists():
            _refuse(name, "is there as a folder, too")
        return path

    def _folder(self, parts: tuple[str, ...], name: str) -> None:
        """Make a folder and those above it, unless they are there."""
        path = self.root
        for part in parts:
            path /= part
            if path.is_symlink() or (path.exists() and not path.is_dir()):
                _refuse(name, "leads through what is no folder")
            if not path.exists():
                self._count()
                path.mkdir()

    def _parts(self, name: str) -> tuple[str, ...]:
        if len(os.fsencode(name)) > _LONGEST_NAME_BYTES or "\0" in name or "\\" in name or name.startswith("/"):
            _refuse(name, "has a name that cannot be used")
        parts = tuple(part for part in PurePosixPath(name).parts if part != ".")
        if ".." in parts or any(len(os.fsencode(part)) > _LONGEST_PART_BYTES for part in parts):
            _refuse(name, "has a name that cannot be used")
        return parts

    def _count(self) -> None:
        self._files += 1
        if self._files > self._limits.files:
            raise _too_many(self._limits)


class _Bounded(io.RawIOBase):
    """An uncompressed archive, read forwards; no more of it than a number of bytes, and never much at once."""

    def __init__(self, file: _Readable, limit_bytes: int) -> None:
        self._file = file
        self._limit_bytes = limit_bytes
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LARGEST_HEADER_BYTES:
            raise _refusal("The archive has a header that is larger than makes sense.")
        found = self._file.read(size)
        self._at += len(found)
        if self._at > self._limit_bytes:
            raise _too_large(self._limit_bytes)
        return found

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence != os.SEEK_SET or offset < 0:
            raise tarfile.ReadError
        if offset < self._at:
            self._file.seek(offset)
            self._at = offset
        while self._at < offset and self.read(min(_CHUNK_BYTES, offset - self._at)):
            pass
        return self._at


def _refuse(name: str, why: str, error: BaseException | None = None) -> NoReturn:
    shown = "".join(character if character.isprintable() else "?" for character in name[:100])
    raise _refusal(f"The archive cannot be used: {shown!r} {why}.") from error


def _too_large(limit_bytes: int) -> BuildFailed:
    return _refusal(f"The archive holds more than {limit_bytes // 1024**2} MB.", "Leave out what the build can download.")


def _too_many(limits: UnpackingLimits) -> BuildFailed:
    return _refusal(f"The archive holds more than {limits.files} files.", "Leave out what the build can download.")


def _refusal(message: str, hint: str = _HINT) -> BuildFailed:
    return BuildFailed(message, code="archive_refused", hint=hint)
