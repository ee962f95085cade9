"""``api/prepared``: environments to pick from; administrators change the list, and forges say that a repository has changed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ..builds.access import check_may_build
from ..builds.prepared import NAME
from ..errors import NotAllowed, NotFound
from ..models import PreparedEnvironment, Request, iso, now
from .base import ApiHandler, check_is_admin
from .streamed import StreamedBody

if TYPE_CHECKING:
    import hmac

log = logging.getLogger("binderhub_service")
# GitHub's payloads are at most so large.
HOOK_BYTES = 25 * 1024**2
_KEYS = {"repo": str, "ref": str, "description": str, "profile": str}
_THEY_ARE = "Prepared environments are"


class PreparedHandler(ApiHandler):
    """``prepared``."""

    async def get(self) -> None:
        """List all, for those who may build, and say whether there is nothing else to use."""
        check_may_build(self.caller)
        environments = self.context.prepared.all()
        self.finish_json({"only": self.context.prepared.only, "environments": [prepared_json(self, one) for one in environments]})


class OnePreparedHandler(ApiHandler):
    """``prepared/NAME``."""

    async def get(self, name: str) -> None:
        """Answer with one."""
        check_may_build(self.caller)
        self.finish_json(prepared_json(self, self.context.prepared.get(name)))

    async def put(self, name: str) -> None:
        """Add one, or change it, and begin to build it: 200 with what it is now."""
        check_is_admin(self, _THEY_ARE)
        body = {key: text.strip() for key, text in self.json_body(_KEYS).items()}
        asked = Request(body.get("repo", ""), body.get("ref", ""))
        meant, _ = await self.context.builds.located(asked, "", self.caller, to_prepare=True)
        environment = PreparedEnvironment(**{**body, "name": name, "repo": meant.repo, "ref": meant.ref}, set_by=self.caller.name, set_at=now())
        environment = await self.context.prepared.put(environment)
        self._note(environment, "set")
        self.context.refreshes.begin(name)
        self.finish_json(prepared_json(self, environment))

    async def delete(self, name: str) -> None:
        """Take one off the list: 204. Its image stays as long as any other."""
        check_is_admin(self, _THEY_ARE)
        environment = self.context.prepared.get(name)
        await self.context.prepared.remove(name)
        self._note(environment, "removed")
        self.set_status(204)
        self.finish()

    def _note(self, environment: PreparedEnvironment, action: str) -> None:
        who = self.caller.name
        log.info("%s %s the prepared environment %s: %s %s", who, action, environment.name, environment.repo, environment.ref)
        self.context.refreshes.note(environment, action, who)


class RefreshHandler(ApiHandler):
    """``prepared/NAME/refresh``."""

    async def post(self, name: str) -> None:
        """Look for a new commit, and build it: 202, at once."""
        check_is_admin(self, _THEY_ARE)
        environment = self.context.prepared.get(name)
        self.context.refreshes.begin(name)
        self.set_status(202)
        self.finish_json(prepared_json(self, environment))


class HookSecretHandler(ApiHandler):
    """``prepared/NAME/hook``."""

    async def get(self, name: str) -> None:
        """Answer with what is typed into a forge, so that it tells of pushes."""
        check_is_admin(self, _THEY_ARE)
        secret = self.context.hooks.secret_of(self.context.prepared.get(name))
        base_url = self.context.pages.badge_base_url or f"{self.request.protocol}://{self.request.host}{self.prefix}"
        self.finish_json({"url": f"{base_url}api/hooks/{name}", "secret": secret})


class HookHandler(StreamedBody, ApiHandler):
    """``hooks/NAME``: a forge says that something was pushed. Nothing of what it sends is believed, or even kept."""

    public = True
    _environment: PreparedEnvironment | None = None
    _body: hmac.HMAC | None = None

    async def admit(self) -> None:
        """Refuse networks that are kept out, and names that are none, before the body is read."""
        await ApiHandler.prepare(self)
        if self.request.method != "POST":
            return
        try:
            self._environment = self.context.prepared.get(self.path_args[0])
        except NotFound:
            raise _not_proven() from None
        self._body = self.context.hooks.begin(self._environment)

    def data_received(self, chunk: bytes) -> None:
        """Take a part for the signature."""
        if self._body:
            self._body.update(chunk)

    async def post(self, name: str) -> None:
        """Refresh the environment, if the sender knows its secret: 202, at once."""
        if not (self._environment and self._body and self.context.hooks.is_proven(self._environment, self.request.headers, self._body)):
            raise _not_proven()
        log.info("A webhook tells that the repository of the prepared environment %s has changed", name)
        self.context.refreshes.begin(name)
        self.set_status(202)
        self.finish_json({"name": name})


def _not_proven() -> NotAllowed:
    return NotAllowed("This webhook does not know the secret.", hint="An administrator reads address and secret by: binder prepared hook NAME")


def prepared_json(handler: ApiHandler, environment: PreparedEnvironment) -> dict[str, Any]:
    """Return a prepared environment as the wire writes it."""
    return {
        "name": environment.name,
        "description": environment.description,
        "repo": environment.repo,
        "ref": environment.ref,
        "profile": environment.profile,
        "set_by": environment.set_by,
        "set_at": iso(environment.set_at),
        "image": environment.image or None,
        "commit": environment.commit or None,
        "refreshed": iso(environment.refreshed),
        "refreshing": handler.context.refreshes.goes_on(environment.name),
        "problem": environment.problem,
    }


def prepared_routes(prefix: str) -> list[tuple[Any, ...]]:
    """Return the routes of this module for a service at `prefix`."""
    one = rf"{prefix}api/prepared/({NAME})"
    return [
        (rf"{prefix}api/prepared/?", PreparedHandler),
        (one, OnePreparedHandler),
        (rf"{one}/refresh", RefreshHandler),
        (rf"{one}/hook", HookSecretHandler),
        (rf"{prefix}api/hooks/({NAME})", HookHandler),
    ]
