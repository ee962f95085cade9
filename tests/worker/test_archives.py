"""Archives of strangers: what is refused, and that nothing of it is left."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from binderhub_service.errors import BuildFailed
from binderhub_service.worker.archives import UnpackingLimits, is_archive, unpack

LIMITS = UnpackingLimits(bytes=1024**2, files=50)


def tar_of(*members: tarfile.TarInfo, content: bytes = b"") -> bytes:
    """Return a tar archive of members that have all the same content, as far as they have any."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(content))
    return whole.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = 0, mode: int = 0o644) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size, made.mode = kind, target, size, mode
    return made


def link(name: str, target: str) -> tarfile.TarInfo:
    return member(name, tarfile.SYMTYPE, target)


def zip_of(files: Mapping[str, bytes], modes: Mapping[str, int] | None = None) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (modes or {}).get(name, stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, content)
    return whole.getvalue()


def files_in(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def unpacked(tmp_path: Path) -> Callable[[bytes], Path]:
    """Unpacks bytes; when that is refused, nothing may be left but the archive itself."""

    def unpack_bytes(content: bytes) -> Path:
        archive, folder = tmp_path / "archive", tmp_path / "made" / "content"
        archive.write_bytes(content)
        folder.parent.mkdir()
        try:
            unpack(archive, folder, LIMITS)
        except BuildFailed:
            assert list(folder.parent.iterdir()) == []
            assert sorted(tmp_path.iterdir()) == [archive, folder.parent]
            raise
        return folder

    return unpack_bytes


PLAIN = tar_of(member("a", size=5), member("sub/run.sh", size=5, mode=0o6755), link("sub/up", "../a"), content=b"hello")


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_a_tar_archive_becomes_a_folder_however_it_is_compressed(unpacked: Callable[[bytes], Path], compress: Callable[[bytes], bytes]) -> None:
    folder = unpacked(compress(PLAIN))
    assert files_in(folder) == {"a": "hello", "sub/run.sh": "hello", "sub/up": "hello"}
    assert stat.S_IMODE((folder / "sub/run.sh").stat().st_mode) == 0o755, "a program, and no other rights"
    assert (folder / "sub/up").readlink() == Path("../a")


def test_a_zip_archive_becomes_a_folder(unpacked: Callable[[bytes], Path]) -> None:
    modes = {"run": stat.S_IFREG | 0o755, "link": stat.S_IFLNK | 0o777}
    folder = unpacked(zip_of({"a/b": b"x", "run": b"y", "link": b"a/b", "empty/": b""}, modes))
    assert files_in(folder) == {"a/b": "x", "run": "y", "link": "x"}
    assert os.access(folder / "run", os.X_OK)
    assert (folder / "empty").is_dir()


def test_of_an_archive_with_a_single_folder_its_content_is_taken(unpacked: Callable[[bytes], Path]) -> None:
    assert files_in(unpacked(tar_of(member("project-1/Dockerfile", size=1), content=b"x"))) == {"Dockerfile": "x"}


def test_a_later_member_takes_the_place_of_an_earlier_one(unpacked: Callable[[bytes], Path]) -> None:
    folder = unpacked(tar_of(link("a", "b"), member("b", size=1), member("a", size=1), member("again", tarfile.LNKTYPE, "b"), content=b"x"))
    assert not (folder / "a").is_symlink()
    assert files_in(folder) == {"a": "x", "b": "x", "again": "x"}


def zip_bomb() -> bytes:
    return zip_of({f"bomb{number}": b"\0" * 1024**2 for number in range(3)})


def bomb_within_a_bomb() -> bytes:
    return bz2.compress(tar_of(member("f", size=50_000_000), content=b"\0" * 50_000_000))


def lying_header() -> bytes:
    """Return an archive whose extended header says that it is 1 GB long."""
    return gzip.compress(member("x", tarfile.XHDTYPE, size=1024**3).tobuf(tarfile.USTAR_FORMAT) + b"\0" * 4 * 1024**2)


def sparse() -> bytes:
    header = tarfile.TarInfo("sparse")
    header.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "sparse", "GNU.sparse.realsize": str(2**40)}
    header.size = 512
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(header, io.BytesIO(b"0\n".ljust(512, b"\0")))
    return whole.getvalue()


HOSTILE: dict[str, bytes | Callable[[], bytes]] = {
    "a path that leads up": tar_of(member("../outside")),
    "a path that leads up further in": tar_of(member("a/../../outside")),
    "an absolute path": tar_of(member("/etc/cron.d/x")),
    "a link that leads out": tar_of(link("out", "../..")),
    "an absolute link": tar_of(link("out", "/etc/passwd")),
    "a file through a link": tar_of(member("d", tarfile.DIRTYPE, mode=0o755), link("l", "d"), member("l/file")),
    "a folder through a link": tar_of(link("l", "."), member("l/d", tarfile.DIRTYPE)),
    "links that lead out together": tar_of(member("a/b/c", tarfile.DIRTYPE, mode=0o755), link("a/b/c/up", "../../.."), link("out", "a/b/c/up/..")),
    "a link in a circle": tar_of(link("a", "b"), link("b", "a")),
    "a hard link to a file outside": tar_of(member("h", tarfile.LNKTYPE, "../archive")),
    "a hard link through a link": tar_of(link("l", "."), member("f", size=1), member("h", tarfile.LNKTYPE, "l/f"), content=b"x"),
    "a hard link to a link": tar_of(member("f", size=1), link("l", "f"), member("h", tarfile.LNKTYPE, "l"), content=b"x"),
    "a hard link to itself": tar_of(member("h", size=1), member("./h", tarfile.LNKTYPE, "h"), content=b"x"),
    "a path of too many bytes": tar_of(member("/".join(["\U0001f600" * 60] * 16))),
    "a link of too many bytes": tar_of(link("l", "\U0001f600" * 900)),
    "a device": tar_of(member("null", tarfile.CHRTYPE)),
    "a block device": tar_of(member("sda", tarfile.BLKTYPE)),
    "a pipe": tar_of(member("pipe", tarfile.FIFOTYPE)),
    "a sparse file": sparse(),
    "a name that is too long": tar_of(member("x" * 300)),
    "a path that is too long": tar_of(member("/".join(["d"] * 600))),
    "a file where a folder is": tar_of(member("a/b"), member("a")),
    "a folder where a file is": tar_of(member("a"), member("a/b")),
    "too much": tar_of(*(member(f"f{number}", size=600_000) for number in range(2)), content=b"x" * 600_000),
    "a bomb": gzip.compress(tar_of(*(member(f"f{number}", size=900_000) for number in range(9)), content=b"\0" * 900_000)),
    "a bomb within a bomb": bomb_within_a_bomb,  # made by the process that tries it, and not by all that collect tests
    "too many files": tar_of(*(member(f"f{number}") for number in range(60))),
    "too many folders in one path": tar_of(member("/".join(["d"] * 60))),
    "a header without an end": lying_header(),
    "zip: a path that leads up": zip_of({"../outside": b"x"}),
    "zip: an absolute path": zip_of({"/etc/x": b"x"}),
    "zip: a path of another system": zip_of({"..\\outside": b"x"}),
    "zip: a link that leads out": zip_of({"l": b"../.."}, {"l": stat.S_IFLNK | 0o777}),
    "zip: a device": zip_of({"d": b""}, {"d": stat.S_IFCHR | 0o666}),
    "zip: too many files": zip_of({f"f{number}": b"" for number in range(60)}),
    "zip: a bomb": zip_bomb(),
    "no archive": b"FROM debian:12\n",
    "nothing": b"",
    "half a tar archive": PLAIN[:700],
    "half a compressed archive": gzip.compress(PLAIN)[:-20],
    "compressed, and no archive": gzip.compress(b"hello"),
    "compressed twice": gzip.compress(gzip.compress(PLAIN)),
    "the beginning of another compression": b"\xfd7zXZ\x00" + gzip.compress(PLAIN),
    "gzip with wrong sums": gzip.compress(PLAIN)[:-8] + b"\0" * 8,
    "bzip2 that is none": b"BZh9" + b"\0" * 600,
    "zip that is none": b"PK\x03\x04" + b"\0" * 600,
    "half a zip archive": zip_of({"a": b"x" * 1000})[:-30],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_with_a_sentence_and_nothing_is_left(unpacked: Callable[[bytes], Path], name: str) -> None:
    made = HOSTILE[name]
    content = made if isinstance(made, bytes) else made()
    with pytest.raises(BuildFailed) as refused:
        unpacked(content)
    assert refused.value.code == "archive_refused"
    assert refused.value.message.startswith(("The archive ", "This is no archive "))
    assert refused.value.message.endswith(".")
    assert refused.value.hint


def test_a_dockerfile_is_told_from_an_archive(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for content, expected in ((b"FROM x\n", False), (b"", False), (PLAIN, True), (gzip.compress(PLAIN), True), (zip_of({"a": b""}), True)):
        file.write_bytes(content)
        assert is_archive(file) is expected
