"""Images that somebody else has made, by name, as far as the operator allows it; where they are kept says which image a name means."""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import quote, unquote

from traitlets import List as ListTrait
from traitlets import Unicode

from ..common.images import TRANSPORT, ImageNotAllowed, check_allowed_image
from ..common.refusal import Refused
from ..errors import InvalidRequest, NotAllowed, NotFound
from ..models import GIVEN_IMAGE, FindDigest, Request, Source
from .base import Display, Provider


class ImageProvider(Provider):
    """Images by name; a request for one is resolved to its digest, and nothing is built."""

    name: ClassVar[str] = GIVEN_IMAGE
    event_name: ClassVar[str] = "Image"
    spec_form: ClassVar[str] = "escaped-image"
    rank: ClassVar[int] = 90

    allowed_images = ListTrait(
        Unicode(),
        help="""The images that people may launch by name, where images are container images.

        Patterns of whole names, in which ``*`` stands for any characters but ``/``. An image needs ``jupyterhub-singleuser`` in a version that
        fits the hub; its code runs as a repository's does. Default: none. Example: ``["quay.io/jupyter/*", "registry.example.org/course/*"]``.
        """,
    ).tag(config=True)

    @property
    def is_offered(self) -> bool:
        """Whether there is an image that people may launch."""
        return bool(self.allowed_images) and self.find_digest is not None

    def understands(self, repo: str) -> bool:
        """Say whether `repo` is an image: ``docker://NAME``."""
        return repo.strip().startswith(TRANSPORT)

    def canonical_repo(self, request: Request) -> str:
        """Return ``docker://NAME``.

        Raises:
            InvalidRequest: it is no image's name, or there is a ref.
            NotAllowed: the operator does not allow the image, or there are no container images here.
        """
        return f"{TRANSPORT}{self._image(request)}"

    def request_from_spec(self, spec: str) -> Request:
        """Read an image's name, with or without percent-escapes."""
        return Request(repo=f"{TRANSPORT}{unquote(spec)}", provider=self.name)

    def spec_of(self, request: Request) -> str:
        """Return the escaped name."""
        return quote(self._image(request), safe="")

    def resolved_spec(self, source: Source) -> str:
        """Return the name with the image's digest."""
        return quote(f"{_without_tag(source.slug)}@sha256:{source.commit}", safe="")

    async def resolve(self, request: Request) -> Source:
        """Ask where images are kept which one has this name now."""
        image = self._image(request)
        digest = await self._finder()(image)
        if digest is None:
            raise NotFound(f"There is no image {image}.", code="image_not_found", hint="Check its name and its tag.")
        return Source(self.name, f"{TRANSPORT}{image}", f"{TRANSPORT}{image}", image, "HEAD", digest.removeprefix("sha256:"))

    def ref_url(self, source: Source) -> str:
        """Return the image's name: not every registry has pages."""
        return source.repo

    def display(self) -> Display:
        """Say how forms ask for an image."""
        return Display(
            name="Image",
            repo_label="Name of an image",
            repo_placeholder="e.g. quay.io/jupyter/base-notebook:latest",
            spec_pattern="[^/]+",
            is_repo_escaped=True,
            has_ref=False,
        )

    def _image(self, request: Request) -> str:
        if request.ref not in {"", "HEAD"}:
            raise InvalidRequest("An image has no ref.", hint="Put its tag behind its name, e.g. quay.io/jupyter/base-notebook:2026-01.")
        self._finder()
        try:
            return check_allowed_image(request.repo, self.allowed_images)
        except ImageNotAllowed as refused:
            raise NotAllowed(refused.message, code="image_not_allowed", hint=refused.hint) from refused
        except Refused as refused:
            raise InvalidRequest.of(refused) from refused

    def _finder(self) -> FindDigest:
        if self.find_digest is None:
            raise NotAllowed("There are no container images here: servers are processes.", code="image_not_allowed", hint="Name a repository.")
        return self.find_digest


def _without_tag(image: str) -> str:
    name = image.partition("@")[0]
    first, colon, tag = name.rpartition(":")
    return first if colon and "/" not in tag else name
