"""binder-build's API: builds under names, and the templates that they make."""

from __future__ import annotations

import html
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from tornado import web

from ...common.credentials import refuse_credentials
from ...common.refusal import Refused
from ...errors import INTERNAL_ERROR, BinderError, Conflict, NotAllowed, NotFound, Unavailable
from ...models import Caller, NamedBuild, now
from ...providers.github import GitHubProvider
from ..base import error_from
from . import binder_build_protocol as protocol
from .base import LegacyHandler, parse_json
from .binder_build_protocol import Malformed

_PAGE = "text/html; charset=utf-8"
_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json; charset=utf-8"


class BinderBuildApiHandler(LegacyHandler):
    """What all handlers of binder-build's API share.

    Attributes:
        allowed: the methods that ``OPTIONS`` names; none where there is nothing.
        store_fails: what is said when the database does not answer.
    """

    allowed = ""
    store_fails = protocol.BUILDS_UNKNOWN

    async def caller_by_key(self) -> Caller:
        """Return who has the raw key in the header; raises `NotAllowed`."""
        caller = await self.caller_with(self.request.headers.get("Authorization", ""))
        if caller is None:
            raise NotAllowed("Forbidden")
        return caller

    def json_of_body(self) -> Any:
        """Return the body, if it says that it is JSON, else an empty object; raises `Malformed`."""
        if self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
            return {}
        if len(self.body) > self.body_bytes:
            raise Malformed(413, "Error: request entity too large")
        try:
            body = parse_json(self.body) if self.body else {}
        except ValueError as error:
            raise Malformed(400, f"SyntaxError: {error}") from error
        if not isinstance(body, dict | list):
            raise Malformed(400, "SyntaxError: Unexpected token")
        return body

    def reply(self, status: int, value: object) -> None:
        """Finish with JSON."""
        self.answer(status, _JSON, protocol.written(value))

    def options(self, *_parts: str) -> None:
        """Say which methods there are."""
        if not self.allowed:
            raise web.HTTPError(HTTPStatus.NOT_FOUND)
        self.set_header("Allow", self.allowed)
        self.answer(HTTPStatus.OK, _PAGE, self.allowed)

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        """Log only what nobody expected."""
        if not isinstance(value, Malformed):
            super().log_exception(typ, value, tb)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Turn whatever went wrong into binder-build's answer."""
        exception = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(exception, Malformed):
            self.answer(exception.status, _PAGE, html.escape(exception.text, quote=False))
        elif isinstance(exception, web.HTTPError) and status_code in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}:
            self.answer(HTTPStatus.NOT_FOUND, _PAGE, f"Cannot {html.escape(str(self.request.method))} {html.escape(self.own_path)}\n")
        else:
            self._answer_error(error_from(exception))

    def _answer_error(self, error: BinderError) -> None:
        if isinstance(error, NotAllowed):
            self.answer(HTTPStatus.FORBIDDEN, _TEXT, "Forbidden")
        elif isinstance(error, Unavailable) and error.code == "store_unavailable":
            self.reply(HTTPStatus.INTERNAL_SERVER_ERROR, self.store_fails)
        else:
            self.reply(500 if error is INTERNAL_ERROR else error.status, protocol.error_json(error))


class NamedBuildsHandler(BinderBuildApiHandler):
    """``/builds``."""

    allowed = "GET,HEAD,POST"

    async def post(self) -> None:
        """Begin a build."""
        body = self.json_of_body()
        caller = await self.caller_by_key()
        asked = protocol.asked_for(body, self._github_hosts())
        try:
            refuse_credentials(asked.repository)
        except Refused as refused:  # it would be kept and shown
            raise Malformed(422, refused.message) from refused
        named = NamedBuild(asked.name, asked.display_name, asked.repository, started=now())
        try:
            await self.context.named_builds.start(
                named, asked.request, caller, force=asked.force, told=lambda error: protocol.error_text(asked, error)
            )
        except Conflict:
            self.reply(HTTPStatus.INTERNAL_SERVER_ERROR, protocol.ALREADY_BUILDING)
        else:
            self.reply(HTTPStatus.OK, protocol.started_json(named))

    async def get(self) -> None:
        """List all builds."""
        await self.caller_by_key()
        self.reply(HTTPStatus.OK, [protocol.build_json(named) for named in await self.context.named_builds.all()])

    head = get

    def _github_hosts(self) -> set[str]:
        return {urlsplit(provider.url).netloc.lower() for provider in self.context.providers if isinstance(provider, GitHubProvider)}


class NamedBuildAliasHandler(NamedBuildsHandler):
    """``/builds/repo``, where the description begins builds; to read, it is the build of this name."""

    async def get(self) -> None:
        """Answer with the build."""
        await answer_build(self, "repo")

    head = get


class NamedBuildHandler(BinderBuildApiHandler):
    """``/builds/NAME``, for everybody."""

    allowed = "GET,HEAD"

    async def get(self, name: str) -> None:
        """Answer with the build."""
        await answer_build(self, name)

    head = get


class BuiltTemplatesHandler(BinderBuildApiHandler):
    """``/templates``."""

    allowed = "GET,HEAD"
    store_fails = protocol.TEMPLATES_UNKNOWN

    async def get(self) -> None:
        """List all templates."""
        await self.caller_by_key()
        self.reply(HTTPStatus.OK, [protocol.template_json(template) for template in await self.context.templates.all()])

    head = get


class BuiltTemplateHandler(BinderBuildApiHandler):
    """``/templates/NAME``, for everybody, as the description has it; who brings a key that is none is refused, as in the original."""

    allowed = "GET,HEAD"
    store_fails = protocol.TEMPLATES_UNKNOWN

    async def get(self, name: str) -> None:
        """Answer with the template."""
        if self.request.headers.get("Authorization"):
            await self.caller_by_key()
        try:
            template = await self.context.templates.get(name)
        except NotFound:
            check_one_segment(name)
            self.reply(HTTPStatus.NOT_FOUND, protocol.NO_TEMPLATE)
        else:
            self.reply(HTTPStatus.OK, protocol.template_json(template))

    head = get


class UnknownBinderBuildHandler(BinderBuildApiHandler):
    """Anything else."""

    async def admit(self) -> None:
        """Say that there is nothing."""
        await super().admit()
        raise web.HTTPError(HTTPStatus.NOT_FOUND)


async def answer_build(handler: BinderBuildApiHandler, name: str) -> None:
    """Answer with the build of a name, which may have slashes that a client has not escaped."""
    named = await handler.context.named_builds.get(name) or await handler.context.named_builds.get(name.removesuffix("/"))
    if named is None:
        check_one_segment(name)
        handler.reply(HTTPStatus.INTERNAL_SERVER_ERROR, protocol.NO_BUILD)
    else:
        handler.reply(HTTPStatus.OK, protocol.build_json(named))


def check_one_segment(name: str) -> None:
    """Raise 404 for what no route of the original matches: a name with a slash that nothing has."""
    if "/" in name.removesuffix("/"):
        raise web.HTTPError(HTTPStatus.NOT_FOUND)


def binder_build_api_routes(mount: str) -> list[tuple[Any, ...]]:
    """Return the routes of this module for an API that lives at `mount`; paths may be written in any case."""
    here = {"mount": mount}
    return [
        (rf"{mount}/(?i:builds)/?", NamedBuildsHandler, here),
        (rf"{mount}/(?i:builds/repo)/?", NamedBuildAliasHandler, here),
        (rf"{mount}/(?i:builds)/(.+)", NamedBuildHandler, here),
        (rf"{mount}/(?i:templates)/?", BuiltTemplatesHandler, here),
        (rf"{mount}/(?i:templates)/(.+?)/?", BuiltTemplateHandler, here),
        (rf"{mount}(?:/.*)?", UnknownBinderBuildHandler, here),
    ]
