"""A form with a file and a manifest, read as it comes: the file goes to the disk."""

from __future__ import annotations

from python_multipart.exceptions import ParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from ...clients.contents import ContentWriter

_MANIFEST_BYTES = 1024**2
_FILE, _MANIFEST = "tarfile", "json"


class Form:
    """Takes a form's bytes; the parts ``TarFile`` and ``Json`` go by their names, others by their places: first the file, then the manifest.

    Args:
        content_type: the request's header.
        writer: takes the file.

    Attributes:
        manifest: what came of the manifest; None before it came.
        has_file: whether the file came.

    Raises:
        ValueError: it is no such form, or its manifest is too large.
    """

    def __init__(self, content_type: str, writer: ContentWriter) -> None:
        boundary = parse_options_header(content_type)[1].get(b"boundary")
        if not boundary:
            raise ValueError("no boundary")
        self.manifest: bytearray | None = None
        self.has_file = False
        self._writer = writer
        self._header = self._value = b""
        self._name = ""
        self._role = ""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._add_header,
                "on_header_value": self._add_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._choose,
                "on_part_data": self._take,
            },
        )

    def write(self, chunk: bytes) -> None:
        """Take more of it; raises `ValueError`, and `BodyTooLarge` of the writer."""
        try:
            self._parser.write(chunk)
        except ParseError as error:
            raise ValueError("not a form") from error

    def _begin_part(self) -> None:
        self._name, self._header, self._value = "", b"", b""

    def _add_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._name = parse_options_header(self._value)[1].get(b"name", b"").decode(errors="replace").lower()
        self._header = self._value = b""

    def _choose(self) -> None:
        free = [role for role, taken in ((_FILE, self.has_file), (_MANIFEST, self.manifest is not None)) if not taken]
        self._role = self._name if self._name in free else next(iter(free), "")
        if self._role == _FILE:
            self.has_file = True
        elif self._role == _MANIFEST:
            self.manifest = bytearray()

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self._role == _FILE:
            self._writer.write(data[start:end])
        elif self._role == _MANIFEST and self.manifest is not None:
            self.manifest += data[start:end]
            if len(self.manifest) > _MANIFEST_BYTES:
                raise ValueError("the manifest is too large")
