"""binder-registry's API: templates, which can be read by everybody and changed with a key."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from tornado import web

from ...builds.access import check_may_build
from ...errors import Conflict, NotAllowed, NotFound
from ...models import now
from ..base import error_from
from . import registry_protocol as protocol
from .base import LegacyHandler, parse_json
from .registry_protocol import RegistryRefusal

_PAGE = "text/plain; charset=utf-8"


class RegistryHandler(LegacyHandler):
    """What all handlers of the registry share.

    Attributes:
        keyed: the method that takes a key.
    """

    keyed = ""

    body_bytes = 1024 * 1024

    async def admit(self) -> None:
        """Send requests for another spelling of an address there; then want a key where something is to be changed."""
        await super().admit()
        raw = self.request.path.removeprefix(self.mount)
        clean = protocol.cleaned(raw)
        if raw not in {"", clean}:
            query = f"?{self.request.query}" if self.request.query else ""
            self.redirect(self.mount + clean + query, permanent=True)
        elif self.request.method == self.keyed:
            await self._check_key()

    async def _check_key(self) -> None:
        try:
            caller = await self.caller_with(protocol.key_in(self.request.headers.get("Authorization")))
            if caller is None:
                raise RegistryRefusal(protocol.WRONG_TOKEN)
            check_may_build(caller)
        except RegistryRefusal as refusal:
            self.reply(HTTPStatus.UNAUTHORIZED, {"message": str(refusal)})
        except NotAllowed:
            self.reply(HTTPStatus.UNAUTHORIZED, {"message": protocol.WRONG_TOKEN})

    def fields(self) -> protocol.Fields:
        """Return what the body says of a template; raises `RegistryRefusal`."""
        if len(self.body) > self.body_bytes:
            raise RegistryRefusal(protocol.CUT)
        try:
            return protocol.fields_of(parse_json(self.body))
        except ValueError as error:
            raise RegistryRefusal(str(error)) from error

    def reply(self, status: int, value: object) -> None:
        """Finish with JSON."""
        self.answer(status, "application/json; charset=UTF-8", protocol.written(value))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Turn whatever went wrong into the registry's answer."""
        exception = kwargs.get("exc_info", (None, None, None))[1]
        error = error_from(exception)
        if isinstance(exception, web.HTTPError) and status_code in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}:
            self.answer(HTTPStatus.NOT_FOUND, _PAGE, protocol.NOT_FOUND_PAGE)
        elif isinstance(exception, RegistryRefusal):
            self.reply(error.status, {"message": error.message})
        elif isinstance(error, Conflict):
            self.reply(error.status, {"message": protocol.EXISTS})
        elif isinstance(error, NotFound):
            self.reply(error.status, {"message": protocol.UNKNOWN})
        else:
            self.reply(error.status, {"message": protocol.PANIC if error.code == "internal_error" else error.message})


class RegistryRootHandler(RegistryHandler):
    """``/``."""

    def get(self) -> None:
        """Say that the registry lives."""
        self.answer(HTTPStatus.OK, "application/json; charset=UTF-8", protocol.LIVE)


class TemplatesHandler(RegistryHandler):
    """``/templates``."""

    keyed = "POST"

    async def get(self) -> None:
        """List all templates."""
        self.reply(HTTPStatus.OK, [protocol.template_json(template) for template in await self.context.templates.all()])

    async def post(self) -> None:
        """Add a template: 201."""
        template = protocol.new_template(self.fields(), now())
        await self.context.templates.add(template)
        self.reply(HTTPStatus.CREATED, protocol.template_json(template))


class OneTemplateHandler(RegistryHandler):
    """``/templates/NAME``."""

    keyed = "PUT"

    async def get(self, name: str) -> None:
        """Answer with the template."""
        self.reply(HTTPStatus.OK, protocol.template_json(await self.context.templates.get(_segment(name))))

    async def put(self, name: str) -> None:
        """Change image and command, where they are given: 202."""
        given = self.fields()
        changed = await self.context.templates.change(_segment(name), image=given.image, command=given.command)
        self.reply(HTTPStatus.ACCEPTED, protocol.template_json(changed))


def _segment(raw: str) -> str:
    """Return a name; one with a slash can be listed but not be fetched."""
    if "/" in raw:
        raise web.HTTPError(HTTPStatus.NOT_FOUND)
    return raw


class UnknownRegistryHandler(RegistryHandler):
    """Anything else."""

    async def admit(self) -> None:
        """Redirect as everywhere, else say that there is nothing."""
        await super().admit()
        if not self._finished:
            raise web.HTTPError(HTTPStatus.NOT_FOUND)


def registry_routes(mount: str) -> list[tuple[Any, ...]]:
    """Return the routes of this module for an API that lives at `mount`."""
    here = {"mount": mount}
    return [
        (rf"{mount}/?", RegistryRootHandler, here),
        (rf"{mount}/templates", TemplatesHandler, here),
        (rf"{mount}/templates/([^/]+)", OneTemplateHandler, here),
        (rf"{mount}/.*", UnknownRegistryHandler, here),
    ]
