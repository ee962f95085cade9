"""The front page, which makes links to share, and what the operator says about the service."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from markupsafe import Markup

from ... import __version__
from ...builds.access import may_build
from ...errors import BinderError, InvalidRequest
from ...models import Request
from ...providers import Provider, check_permitted, provider_for
from ..pages import PageHandler
from .links import Link, link_to

_FIELDS = ("provider", "repo", "ref", "kind", "path")


class FrontHandler(PageHandler):
    """A form that makes a link and its badges; it works without JavaScript."""

    async def get(self) -> None:
        """Show the form, with the link if a repository is given."""
        given = {name: self.get_query_argument(name, "").strip() for name in _FIELDS}
        link, error = None, None
        if given["repo"]:
            try:
                link = await self._link(given)
            except BinderError as problem:
                error = problem
                self.set_status(problem.status)
        self.render_page("front.html", given=given, link=link, error=error, providers=self._choices(), **self._prepared(), **self._files())

    def _prepared(self) -> dict[str, Any]:
        """Return what there is to pick from by who may build."""
        prepared = self.context.prepared
        return {"prepared": prepared.all() if may_build(self.caller) else [], "only_prepared": prepared.only}

    def _files(self) -> dict[str, bool]:
        """Return what may be sent instead of a repository's address."""
        can = {provider.name for provider in self.context.providers}
        has_containers = any(provider.takes_text and provider.find_digest for provider in self.context.providers)
        return {"takes_files": "upload" in can, "takes_text": "dockerfile" in can and has_containers}

    async def _link(self, given: dict[str, str]) -> Link:
        request, path = Request(given["repo"], given["ref"]), given["path"]
        if "://" in request.repo:  # it may be a page's, which says more
            request, path = await self.context.builds.located(request, path, self.caller)
            given.update(repo=request.repo, ref=request.ref, path=path)
        provider = self._chosen(given["provider"])
        if "://" in request.repo and not provider.understands(request.repo):  # the address says better where it is
            provider = provider_for(request, self.context.providers)
        request = replace(request, provider=provider.name)
        check_permitted(request, self.context.providers)
        return link_to(self.badge_base_url(), provider, request, path, is_url_path=given["kind"] == "url")

    def _chosen(self, name: str) -> Provider:
        for provider in self.context.providers:
            if provider.name == name or not name:
                return provider
        raise InvalidRequest(f"There is no provider {name!r}.", code="unknown_provider", hint="Choose one of the list.")

    def _choices(self) -> list[dict[str, Any]]:
        return [{"id": provider.name, "display": provider.display()} for provider in self.context.providers if provider.is_offered]


class AboutHandler(PageHandler):
    """``about``."""

    async def get(self) -> None:
        """Show the operator's message, and which version this is."""
        self.render_page("about.html", message=Markup(self.context.pages.about_message), version=__version__)  # noqa: S704  # the operator's own HTML


def front_routes(prefix: str) -> list[tuple[Any, ...]]:
    """Return the routes of this module for a service at `prefix`."""
    return [(prefix, FrontHandler), (rf"{prefix}about", AboutHandler)]
