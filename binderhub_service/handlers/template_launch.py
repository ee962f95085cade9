"""Launches of templates: by ``POST api/launches``, and by the links ``/v2/template/NAME``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from ..common.images import TRANSPORT
from ..common.paths import url_path
from ..errors import InvalidRequest
from ..launches.launches import Launched, path_from_query
from ..models import GIVEN_IMAGE, Request, Template
from ..providers import check_permitted
from .base import ServiceHandler
from .binder.admission import check_launch_rate
from .launch_users import check_is_person, launch_for
from .pages import PageHandler


class TemplateLaunchHandler(PageHandler):
    """The links ``/v2/template/NAME``; nothing runs by opening one."""

    async def get(self, name: str) -> None:
        """Show what would run, and a button."""
        template = await self.context.templates.get(unquote(name))
        check_permitted(request_of(template), self.context.providers)
        path = self._path()
        self.render_page("template.html", asked=template, path=path, opens=url_path(path), action=self.request.uri)

    async def post(self, name: str) -> None:
        """Start the server; the hub's page shows how that goes."""
        check_is_person(self)
        await check_launch_rate(self, "", "")
        launched = await launch_template(self, unquote(name), self._path())
        if launched.already_running:
            self.render_page("running.html", launched=launched)
        else:
            self.redirect(launched.pending_url, status=303)

    def _path(self) -> str:
        return path_from_query(*(self.get_query_argument(name, "") for name in ("urlpath", "filepath", "labpath")))


async def launch_template(handler: ServiceHandler, name: str, path: str) -> Launched:
    """Start the caller's server from a template's image, with its command and within its limits.

    Raises:
        NotFound: there is no such template.
        BinderError: as `Launches.launch`.
    """
    template = await handler.context.templates.get(name)
    return await launch_for(handler, request_of(template), path, template)


def check_alone(body: Mapping[str, str]) -> None:
    """Raise `InvalidRequest` if a launch of a template names a repository or an image, too."""
    if not body.keys() <= {"template", "path"}:
        raise InvalidRequest("A launch of a template takes its image from the template.", hint="Leave out image, repo, ref and provider.")


def request_of(template: Template) -> Request:
    """Return the request for a template's image, which the operator has to allow as any image that is launched by name."""
    return Request(repo=f"{TRANSPORT}{template.image.removeprefix(TRANSPORT)}", provider=GIVEN_IMAGE)


def template_launch_routes(prefix: str) -> list[tuple[Any, ...]]:
    """Return the routes of this module for a service at `prefix`."""
    return [(rf"{prefix}v2/template/(.+)", TemplateLaunchHandler)]
