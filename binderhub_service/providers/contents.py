"""What people give instead of a repository's address: files that they have sent, named by the SHA-256 of their bytes."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from ..clients import contents
from ..errors import InvalidRequest, NotAllowed
from ..models import Request, Source
from .base import Display, Provider


class ContentProvider(Provider):
    """Files by ``NAME:SHA256``, where NAME is the provider's.

    Attributes:
        kind: what the ``url`` of its sources is.
        slug: what their images are called; files with the same bytes and the same slug share an image.
    """

    spec_form: ClassVar[str] = "sha256"
    kind: ClassVar[str]
    slug: ClassVar[str]

    @property
    def is_offered(self) -> bool:
        """Whether forms for addresses show it: nobody types a SHA-256."""
        return False

    def understands(self, repo: str) -> bool:
        """Say whether `repo` is ``NAME:SHA256``."""
        return repo.strip().startswith(f"{self.name}:")

    def canonical_repo(self, request: Request) -> str:
        """Return ``NAME:SHA256``.

        Raises:
            InvalidRequest: it is something else, or there is a ref.
        """
        return f"{self.name}:{self._digest(request)}"

    def request_from_spec(self, spec: str) -> Request:
        """Read a SHA-256."""
        return Request(repo=f"{self.name}:{spec.strip('/')}", provider=self.name)

    def spec_of(self, request: Request) -> str:
        """Return the SHA-256."""
        return self._digest(request)

    async def resolve(self, request: Request) -> Source:
        """Look whether the file is there; its SHA-256 is the commit."""
        digest = self._digest(request)
        await asyncio.to_thread(self.contents.use, digest)
        return Source(self.name, f"{self.name}:{digest}", self.kind, self.slug, "HEAD", digest)

    def resolved_spec(self, source: Source) -> str:
        """Return the SHA-256."""
        return source.commit

    def ref_url(self, source: Source) -> str:
        """Return what names the file: it has no page."""
        return source.repo

    def _digest(self, request: Request) -> str:
        if request.ref not in {"", "HEAD", request.repo.strip().removeprefix(f"{self.name}:")}:
            raise InvalidRequest("A file has no ref.", hint="Leave the ref out.")
        digest = request.repo.strip().removeprefix(f"{self.name}:").lower()
        if not contents.is_digest(digest):
            raise InvalidRequest("This names no file.", hint=f"A file is named by the SHA-256 of its bytes: {self.name}: and 64 hexadecimal digits.")
        return digest

    def _display(self, name: str) -> Display:
        return Display(
            name=name, repo_label="SHA-256 of the file", repo_placeholder="64 hexadecimal digits", spec_pattern="[0-9a-f]{64}", has_ref=False
        )


class DockerfileProvider(ContentProvider):
    """The text of a Dockerfile, without any other file."""

    name: ClassVar[str] = "dockerfile"
    event_name: ClassVar[str] = "Git"
    rank: ClassVar[int] = 91
    kind: ClassVar[str] = contents.DOCKERFILE
    slug: ClassVar[str] = "dockerfile"
    takes_text: ClassVar[bool] = True

    def canonical_repo(self, request: Request) -> str:
        """Return ``dockerfile:SHA256``; raises `NotAllowed` where images are no container images."""
        if self.find_digest is None:
            raise NotAllowed(
                "A Dockerfile is built in docker or Kubernetes mode only; here, environments are made without containers.",
                code="needs_containers",
                hint="Describe the environment by a requirements.txt in a repository or an archive.",
            )
        return super().canonical_repo(request)

    def display(self) -> Display:
        """Say how forms ask for a Dockerfile that was sent."""
        return self._display("Dockerfile")


class UploadProvider(ContentProvider):
    """An archive that was uploaded."""

    name: ClassVar[str] = "upload"
    event_name: ClassVar[str] = "Git"
    rank: ClassVar[int] = 93
    kind: ClassVar[str] = contents.ARCHIVE
    slug: ClassVar[str] = "archive"

    def display(self) -> Display:
        """Say how forms ask for an archive that was uploaded."""
        return self._display("Upload")
