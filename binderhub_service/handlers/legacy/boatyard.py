"""boatyard's API: images built from a Dockerfile or an archive, pushed with the request's own login, and deleted here."""

from __future__ import annotations

import asyncio
from functools import partial
from http import HTTPStatus
from typing import Any

from tornado import web

from ...builds.access import BUILD_SCOPE
from ...builds.image_jobs import SourceFailed, login_of
from ...clients.download import download
from ...clients.reference import Reference
from ...common.addresses import checked_address
from ...common.refusal import Refused
from ...errors import INTERNAL_ERROR, BinderError, BodyTooLarge, NotAllowed, NotFound, Unavailable
from ...models import Caller
from ...providers.github import GitHubProvider
from ..base import error_from
from ..streamed import KeptBody
from . import boatyard_protocol as protocol
from .base import LegacyHandler, parse_json
from .boatyard_page import boatyard_page_routes
from .boatyard_protocol import AskedImage, BadBuildRequest
from .multipart import Form

_EVERYBODY = Caller("service:boatyard-open", scopes=frozenset({BUILD_SCOPE}))
_NEEDS_KEY = "Authorization header with a token is needed: 'Authorization: token KEY'"
_NEEDS_CONTAINERS = "This hub builds no container images that can be pushed; boatyard needs a hub in docker or Kubernetes mode."


class BoatyardHandler(LegacyHandler):
    """What all handlers of boatyard's API share."""

    body_bytes = 32 * 1024**2
    _caller: Caller

    async def admit(self) -> None:
        """Know who asks before a body is read."""
        await super().admit()
        if self.context.legacy.boatyard_open:
            self._caller = _EVERYBODY
            return
        header = self.request.headers.get("Authorization", "")
        caller = await self.caller_with(protocol.key_in(header)) if header else await self._caller_on_page()
        if caller is None:
            self.reply(HTTPStatus.UNAUTHORIZED, {"Error": _NEEDS_KEY})
        else:
            self._caller = caller

    async def _caller_on_page(self) -> Caller | None:
        """Return who is signed in on the page of this API; None for nobody."""
        if not self.mount or not self.hub_auth.api_token:
            return None
        await self._ask_who()
        if not self.current_user:
            return None
        self.require_login()
        self._account = await self.account_of(self.current_user, self.hub_auth.get_token(self))
        return self.caller

    def reply(self, status: int, value: dict[str, str]) -> None:
        """Finish with JSON."""
        self.set_header("X-Powered-By", "go-json-rest")
        self.answer(status, "application/json", protocol.written(value))

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        """Log only what nobody expected."""
        if not isinstance(value, BadBuildRequest):
            super().log_exception(typ, value, tb)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Turn whatever went wrong into boatyard's answer."""
        exception = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(exception, BadBuildRequest):
            self.reply(HTTPStatus.BAD_REQUEST, {"Error": str(exception)})
        elif isinstance(exception, web.HTTPError) and status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            self.reply(status_code, {"Error": "Method not allowed"})
        elif isinstance(exception, web.HTTPError) and status_code == HTTPStatus.NOT_FOUND:
            self.reply(status_code, {"Error": "Resource not found"})
        else:
            self._reply_error(error_from(exception))

    def _reply_error(self, error: BinderError) -> None:
        if error is INTERNAL_ERROR or isinstance(error, Unavailable):
            self.reply(HTTPStatus.INTERNAL_SERVER_ERROR, {"Error": "Internal Server Error"})
        elif isinstance(error, NotFound) and error.code == "job_not_found":
            self.reply(HTTPStatus.NOT_FOUND, {"Error": protocol.UNKNOWN_JOB})
        else:
            self.reply(error.status, {"Error": error.message})


class BoatyardBuildHandler(KeptBody, BoatyardHandler):
    """``/api/v1/build``."""

    _form: Form | None = None
    _problem: BaseException | None = None

    async def admit(self) -> None:
        """Know who asks and whether images can be built, then take a form's file to the disk."""
        await super().admit()
        if self._finished or self.request.method != "POST":
            return
        if not self._builds_images():
            self.reply(HTTPStatus.NOT_IMPLEMENTED, {"Error": _NEEDS_CONTAINERS})
            return
        content_type = self.request.headers.get("Content-Type", "")
        if "multipart" in content_type.lower():
            self._writer = self.context.contents.begin()
            try:
                self._form = Form(content_type, self._writer)
            except ValueError as error:
                self._problem = error

    def _builds_images(self) -> bool:
        return any(provider.takes_text and provider.find_digest for provider in self.context.providers)

    async def data_received(self, chunk: bytes) -> None:  # type: ignore[override]  # Tornado awaits it
        """Take a part of the body; what is wrong is said in the end."""
        if self._writer is None:
            super().data_received(chunk)
        elif self._form and not self._problem:
            try:
                await asyncio.to_thread(self._form.write, chunk)
            except (ValueError, BodyTooLarge) as error:
                self._problem = error

    async def post(self) -> None:
        """Begin a job."""
        if isinstance(self._problem, BodyTooLarge):
            raise self._problem
        has_upload = self._form is not None and self._form.has_file
        body = self._manifest()
        try:
            asked = protocol.asked_for(parse_json(body), self._github(), has_upload=has_upload)
        except BadBuildRequest:
            raise
        except ValueError as error:
            raise BadBuildRequest(str(error)) from error
        login = login_of(Reference.parse(asked.image_name).registry, asked.username, asked.password)
        content = await self._content(asked)
        job = await self.context.image_jobs.start(asked.image_name, content, login, self._caller)
        self.reply(HTTPStatus.OK, {"JobIdentifier": job.id})

    def _manifest(self) -> bytes:
        if self._writer is None:
            if len(self.body) > self.body_bytes:
                raise BodyTooLarge(f"JSON of more than {self.body_bytes} bytes is not taken; send the archive as a form.")
            return self.body
        if self._problem or self._form is None or self._form.manifest is None:
            raise INTERNAL_ERROR
        return bytes(self._form.manifest)

    async def _content(self, asked: AskedImage) -> Any:
        """Return what gives the SHA-256 of what is to be built; what came with the request is kept now."""
        contents = self.context.contents
        if asked.text:
            digest = await asyncio.to_thread(contents.put, asked.text.encode())
        elif self._writer and self._form and self._form.has_file:
            digest = await asyncio.to_thread(self._writer.keep)
        elif asked.tar is not None:
            digest = await asyncio.to_thread(contents.put, asked.tar)
        else:
            return partial(self._downloaded, asked)

        async def known() -> str:
            return digest

        return known

    async def _downloaded(self, asked: AskedImage) -> str:
        """Return the SHA-256 of an archive at an address; raises `SourceFailed`."""
        status = protocol.GITHUB_FAILED if asked.is_github else protocol.TAR_URL_FAILED
        if not asked.url:
            raise SourceFailed(protocol.NO_SOURCE, "A repository on GitHub is named by github_username, github_reponame and github_tag.")
        try:
            return await asyncio.to_thread(self._download, checked_address(asked.url))
        except BinderError as error:
            raise SourceFailed(status, error.message) from error
        except Refused as refused:
            raise SourceFailed(status, refused.message) from refused

    def _download(self, address: str) -> str:
        rules = next(provider.git.rules for provider in self.context.providers)
        if not address.startswith(("http://", "https://")):
            raise NotAllowed("An archive has a web address.")
        with self.context.contents.writing() as writer:
            download(address, rules, writer.write)
            return writer.keep()

    def _github(self) -> str:
        return next((provider.url.rstrip("/") for provider in self.context.providers if type(provider) is GitHubProvider), "https://github.com")


class JobStatusHandler(BoatyardHandler):
    """``/api/v1/JOB/status``."""

    async def get(self, job_id: str) -> None:
        """Answer with the job's status."""
        self.reply(HTTPStatus.OK, {"Status": (await self.context.image_jobs.get(job_id, self._caller)).status})


class JobLogsHandler(BoatyardHandler):
    """``/api/v1/JOB/logs``."""

    async def get(self, job_id: str) -> None:
        """Answer with what was told so far."""
        job = await self.context.image_jobs.get(job_id, self._caller)
        self.reply(HTTPStatus.OK, {"Logs": await self.context.image_jobs.log_of(job) or protocol.NO_LOGS})


class JobImageHandler(BoatyardHandler):
    """``/api/v1/JOB/image``, which the original had not."""

    async def delete(self, job_id: str) -> None:
        """Delete the job's image here."""
        job = await self.context.image_jobs.get(job_id, self._caller)
        await self.context.image_jobs.delete_image(job)
        self.reply(HTTPStatus.OK, {"Status": "Deleted"})


class UnknownBoatyardHandler(BoatyardHandler):
    """Anything else."""

    async def admit(self) -> None:
        """Say that there is nothing."""
        raise web.HTTPError(HTTPStatus.NOT_FOUND)


def boatyard_routes(mount: str) -> list[tuple[Any, ...]]:
    """Return the routes of this module for an API that lives at `mount`."""
    here = {"mount": mount}
    return [
        (rf"{mount}/api/v1/build", BoatyardBuildHandler, here),
        (rf"{mount}/api/v1/([^/]+)/status", JobStatusHandler, here),
        (rf"{mount}/api/v1/([^/]+)/logs", JobLogsHandler, here),
        (rf"{mount}/api/v1/([^/]+)/image", JobImageHandler, here),
        *boatyard_page_routes(mount),
        (rf"{mount}(?:/.*)?", UnknownBoatyardHandler, here),
    ]
