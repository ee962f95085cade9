"""Archives at addresses; downloaded when they are asked for, and known by the SHA-256 of their bytes from then on."""

from __future__ import annotations

import asyncio
import re
from typing import ClassVar
from urllib.parse import quote, unquote, urlsplit

from ..clients import contents
from ..clients.download import download
from ..errors import InvalidRequest, NotFound
from ..models import Request, Source
from .addresses import checked_address
from .base import Display, Provider

_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")


class ArchiveProvider(Provider):
    """Tar and zip archives by address. The same bytes share an image with an upload, wherever they come from."""

    name: ClassVar[str] = "archive"
    event_name: ClassVar[str] = "Git"
    spec_form: ClassVar[str] = "escaped-address"
    rank: ClassVar[int] = 92

    def understands(self, repo: str) -> bool:
        """Say whether `repo` is a web address that ends as archives do."""
        text = repo.strip().lower()
        return text.startswith(("http://", "https://")) and text.partition("?")[0].partition("#")[0].endswith(_SUFFIXES)

    def canonical_repo(self, request: Request) -> str:
        """Return the address.

        Raises:
            InvalidRequest: it is no web address, or the ref is no SHA-256.
        """
        address = checked_address(request.repo)
        if urlsplit(address).scheme not in {"http", "https"}:
            raise InvalidRequest("An archive has a web address.", hint="Give an address such as https://example.org/course.tar.gz.")
        if request.ref not in {"", "HEAD"} and not contents.is_digest(request.ref):
            raise InvalidRequest(
                "An archive has no ref but the SHA-256 of its bytes.", hint="Leave the ref out, and the archive is taken as it is now."
            )
        return address

    def request_from_spec(self, spec: str) -> Request:
        """Read ``<url-escaped address>``, with or without the SHA-256 of the archive behind it."""
        address, _, digest = spec.strip("/").partition("/")
        if re.fullmatch(r"https?(?::|%3[Aa])", address):
            raise InvalidRequest(
                "The archive's address in the link is not escaped.", hint="Escape its slashes, too: archive/https%3A%2F%2Fexample.org%2Fa.zip."
            )
        return Request(repo=unquote(address), ref="" if digest == "HEAD" else digest, provider=self.name)

    def spec_of(self, request: Request) -> str:
        """Return the escaped address, and the SHA-256 if there is one."""
        digest = "" if request.ref in {"", "HEAD"} else f"/{request.ref}"
        return f"{quote(self.canonical_repo(request), safe='')}{digest}"

    async def resolve(self, request: Request) -> Source:
        """Download the archive, unless it is asked for by its SHA-256 and here already.

        Raises:
            NotAllowed: the address may not be asked.
            BodyTooLarge: it is larger than files may be.
        """
        address = self.canonical_repo(request)
        digest = "" if request.ref == "HEAD" else request.ref
        is_here = bool(digest) and await asyncio.to_thread(self._is_here, digest)
        if not is_here:
            found = await asyncio.to_thread(self._download, address)
            if digest and found != digest:
                raise NotFound(
                    "The archive at this address is another one by now.", code="ref_not_found", hint="Leave the SHA-256 out to use it as it is."
                )
            digest = found
        return Source(self.name, address, contents.ARCHIVE, "archive", "HEAD", digest)

    def ref_url(self, source: Source) -> str:
        """Return the archive's address."""
        return source.repo

    def display(self) -> Display:
        """Say how forms ask for an archive."""
        return Display(
            name="Archive",
            repo_label="Address of a tar or zip archive",
            repo_placeholder="e.g. https://example.org/course.tar.gz",
            spec_pattern="[^/]+(?:/[0-9a-f]{64})?",
            is_repo_escaped=True,
            has_ref=False,
        )

    def _is_here(self, digest: str) -> bool:
        try:
            self.contents.use(digest)
        except NotFound:
            return False
        return True

    def _download(self, address: str) -> str:
        with self.contents.writing() as writer:
            download(address, self.git.rules, writer.write)
            return writer.keep()
