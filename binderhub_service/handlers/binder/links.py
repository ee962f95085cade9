"""Links that launch a repository, and badges that carry them; pure."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from urllib.parse import quote

from ...launches.launches import check_path
from ...models import Request
from ...providers import Provider


@dataclass(frozen=True)
class Link:
    """A link to share.

    Attributes:
        url: the link.
        badge_url: the picture that it is shown by.
    """

    url: str
    badge_url: str

    @property
    def markdown(self) -> str:
        """The badge in Markdown."""
        return f"[![Binder]({self.badge_url})]({self.url})"

    @property
    def rst(self) -> str:
        """The badge in reStructuredText."""
        return f".. image:: {self.badge_url}\n   :target: {self.url}\n   :alt: Binder"

    @property
    def html(self) -> str:
        """The badge in HTML."""
        return f'<a href="{escape(self.url)}"><img src="{escape(self.badge_url)}" alt="Binder"></a>'


def link_to(base_url: str, provider: Provider, request: Request, path: str = "", *, is_url_path: bool = False) -> Link:
    """Return the link that launches a repository.

    Args:
        base_url: where the service is, e.g. ``https://hub.example.org/services/binder/``.
        path: what the server opens; empty for its default.
        is_url_path: whether `path` is a URL path inside the server, and not a file of the repository.

    Raises:
        InvalidRequest: the repository, the ref or the path cannot be used.
    """
    check_path(path)
    url = f"{base_url}v2/{provider.name}/{provider.spec_of(request)}"
    if path:
        url += f"?{'urlpath' if is_url_path else 'labpath'}={quote(path.lstrip('/'), safe='')}"
    return Link(url, f"{base_url}badge_logo.svg")
