"""Pages for people: the list of builds, one build, and the links that launch a repository."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urlencode

from tornado import web

from .. import __version__
from ..builds.access import may_read_all
from ..common.paths import url_path
from ..errors import BinderError, InvalidRequest, NotFound
from ..launches.launches import path_from_query
from ..models import PREPARED, Build, Request, State
from ..providers import Provider, check_permitted, provider_for
from .base import ServiceHandler
from .binder.admission import check_launch_rate
from .launch_users import check_is_person, launch_for
from .rendering import frame_context, hub_context
from .visitors import is_opened_by_a_person, is_visitor, remember

_PAGE_SIZE = 50
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class PageHandler(ServiceHandler):
    """A handler that answers people, in the hub's frame; errors, too."""

    def require_login(self) -> None:
        """Send a visitor to the hub to sign in, and from there back to this very link."""
        navigating = self.request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate"
        if not self.current_user and self.request.method in {"GET", "HEAD"} and navigating:
            self.redirect(self.get_login_url())
            return
        super().require_login()

    def render_page(self, template: str, **values: Any) -> None:
        """Finish the answer with a page."""
        user = None if is_visitor(self) else self.current_user
        context = hub_context(user, self.context.hub_prefix, self.prefix, self.xsrf_token.decode("ascii"))
        context |= frame_context(self.context.pages, self.page_config(), self.context.controls.announcement) | {"is_public": is_visitor(self)}
        remember(self)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(self.context.jinja.get_template(template).render(**{**context, **values}))

    def page_config(self) -> dict[str, Any]:
        """Return what the page's first script says: BinderHub's ``window.pageConfig``."""
        pages = self.context.pages
        return {
            "baseUrl": self.prefix,
            "badgeBaseUrl": self.badge_base_url(),
            "logoUrl": pages.logo_url or f"{self.context.hub_prefix}logo",
            "logoWidth": "320px",
            "repoProviders": [provider.display().as_dict(provider.name) for provider in self.context.providers if provider.is_offered],
            "aboutMessage": pages.about_message,
            "bannerHtml": pages.banner_html,
            "binderVersion": __version__,
        }

    def badge_base_url(self) -> str:
        """Return where badges and shared links lead, with a slash at the end."""
        return self.context.pages.badge_base_url or f"{self.request.protocol}://{self.request.host}{self.prefix}"

    def render_error(self, error: BinderError) -> None:
        """Write the error as a page."""
        self.render_page("problem.html", error=error, status=error.status)


class ListHandler(PageHandler):
    """The list of builds."""

    async def get(self) -> None:
        """Show a page of it: ``?show=all`` for everybody's, ``?state=`` for some, ``?before=ID`` for older ones."""
        reads_all = may_read_all(self.caller)
        chosen = {name: self.get_query_argument(name, "") for name in ("show", "state", "before")}
        shows_all = reads_all and chosen["show"] == "all"
        found = await self.context.builds.list(
            self.caller,
            state=_state(chosen["state"]),
            owner=self.caller.name if reads_all and not shows_all else None,
            limit=_PAGE_SIZE + 1,
            before=chosen["before"] or None,
        )
        shown = found[:_PAGE_SIZE]
        older = urlencode(_without_empty(chosen | {"before": shown[-1].id})) if len(found) > _PAGE_SIZE else ""
        self.render_page("builds.html", builds=shown, chosen=chosen, reads_all=reads_all, shows_all=shows_all, older=older, states=list(State))


class BuildPageHandler(PageHandler):
    """One build."""

    async def get(self, build_id: str) -> None:
        """Show its state, what it is about, and its log."""
        build = await self.context.builds.get(build_id, self.caller)
        may_cancel = await self.context.builds.may_cancel_for_all(build, self.caller) or not may_read_all(self.caller)
        queue = self.context.builds.queue_status(build.id)
        self.render_page("build.html", build=build, queue=queue, may_cancel=may_cancel, launch_url=self._launch_url(build))

    def _launch_url(self, build: Build) -> str:
        """Return the link that launches the build's commit; empty where no provider takes it by its address."""
        if not any(provider.name == "git" and provider.understands(build.source.repo) for provider in self.context.providers):
            return ""
        return f"{self.prefix}v2/git/{quote(build.source.repo, safe='')}/{quote(build.source.commit, safe='')}"


class CancelHandler(PageHandler):
    """The form on a build's page that cancels it."""

    async def post(self, build_id: str) -> None:
        """Cancel the build, and show it."""
        await self.context.builds.cancel(build_id, self.caller)
        self.redirect(f"{self.prefix}builds/{build_id}", status=303)


class LaunchHandler(PageHandler):
    """The links ``/v2/<provider>/<spec>``; nothing of the repository is fetched, let alone run, by opening one."""

    _is_shown = False

    async def get(self, provider_name: str, _spec: str) -> None:
        """Show what would run, and a button."""
        request, path = self._asked(provider_name)
        repo = provider_for(request, self.context.providers).canonical_repo(request)
        check_permitted(request, self.context.providers, self._spec())
        prepared = self.context.prepared.get(repo) if request.provider == PREPARED else None
        title = f"{self._provider(provider_name).display().name}: {self._spec()}"
        self._is_shown = True
        launches = is_visitor(self) and self._launches_on_visit() and is_opened_by_a_person(self.request.headers)
        values = {
            "launches": launches,
            "link": self._link,
            "request": request,
            "repo": repo,
            "meant": prepared.request if prepared else Request(repo, request.ref),
            "prepared": prepared,
            "path": path,
            "opens": url_path(path),
            "action": self.request.uri,
            "opengraph_title": title,
        }
        self.render_page("launch.html", **values)

    async def post(self, provider_name: str, _spec: str) -> None:
        """Start the server without JavaScript's help; its spawner builds, and the hub's page shows how that goes."""
        check_is_person(self)
        request, path = self._asked(provider_name)
        await check_launch_rate(self, self._link, self.get_body_argument("build_token", ""))
        launched = await launch_for(self, request, path)
        if launched.already_running and not is_commit(request.ref):
            self.render_page("running.html", launched=launched)
        else:
            self.redirect(launched.pending_url, status=303)

    def page_config(self) -> dict[str, Any]:
        """Return what all pages say, and the token by which this one may ask BinderHub's ``/build``."""
        token = {"buildToken": self.context.build_tokens.new(self._link, self.page_host)} if self._is_shown else {}
        return super().page_config() | token

    @property
    def _link(self) -> str:
        """The provider and the spec as they were sent."""
        return self.request.path.removeprefix(f"{self.prefix}v2/")

    def _launches_on_visit(self) -> bool:
        """Say whether the page launches when a person opens it: where nothing else is set, if servers are walled off from the hub's machine."""
        chosen = self.context.pages.launch_on_visit
        return any(provider.find_digest for provider in self.context.providers) if chosen is None else chosen

    def _asked(self, provider_name: str) -> tuple[Request, str]:
        """Return what the link asks for; the spec is taken raw, its percent-escapes belong to the provider."""
        request = self._provider(provider_name).request_from_spec(self._spec())
        urlpath, filepath, labpath = (self.get_query_argument(name, "") for name in ("urlpath", "filepath", "labpath"))
        return request, path_from_query(urlpath, filepath, labpath)

    def _spec(self) -> str:
        return self.request.path.removeprefix(f"{self.prefix}v2/").partition("/")[2]

    def _provider(self, name: str) -> Provider:
        for provider in self.context.providers:
            if provider.name == name:
                return provider
        known = ", ".join(provider.name for provider in self.context.providers)
        raise NotFound(f"There is no provider {name!r}.", code="unknown_provider", hint=f"Links begin with v2/ and one of: {known}.")


class NoPageHandler(PageHandler):
    """Every other address."""

    async def get(self) -> None:
        """Say that there is nothing."""
        raise NotFound("There is no such page.", hint="The front page is the way in.")


def page_routes(prefix: str) -> list[tuple[Any, ...]]:
    """Return the routes of this module for a service at `prefix`; the last ones match every address, so mount them last."""
    return [
        (prefix.rstrip("/"), web.RedirectHandler, {"url": prefix}),
        (rf"{prefix}builds/?", ListHandler),
        (rf"{prefix}builds/([^/]+)/?", BuildPageHandler),
        (rf"{prefix}builds/([^/]+)/cancel/?", CancelHandler),
        (rf"{prefix}v2/([^/]+)/?(.*)", LaunchHandler),
        (rf"{prefix}.*", NoPageHandler),
    ]


def is_commit(ref: str) -> bool:
    """Return whether a ref is a whole commit, whose content cannot change."""
    return _COMMIT.fullmatch(ref) is not None


def _state(text: str) -> State | None:
    """Return the state that a filter names.

    Raises:
        InvalidRequest: there is no such state.
    """
    try:
        return State(text) if text else None
    except ValueError as error:
        raise InvalidRequest(f"There is no state {text!r}.", hint=f"States are {', '.join(State)}.") from error


def _without_empty(query: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in query.items() if value}
