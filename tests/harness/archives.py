"""Archives for tests."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping


def archive_of(files: Mapping[str, str]) -> bytes:
    """Return a compressed tar archive of files by path; the same files give the same bytes."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:xz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content.encode())
            archive.addfile(member, io.BytesIO(content.encode()))
    return whole.getvalue()
