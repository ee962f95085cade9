"""Whose server a launch starts: the caller's own, or a temporary user's where visitors are let in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from ..common.redact import redact
from ..errors import BinderError, NotAllowed
from ..launches.launch_progress import follow_launch
from ..launches.launches import Launched
from ..launches.temporary_users import TemporaryUsers, Visit
from ..models import Request, Template
from ..monitoring.actions import Action
from ..providers import provider_for
from .base import ServiceHandler
from .visitors import cookie_of, is_visitor


@dataclass(frozen=True)
class LaunchUser:
    """A user of the hub who is about to have a server.

    Attributes:
        user_name: at the hub.
        token: what the hub is asked with.
        temporary: who made the user; None for a person who signed in.
        proof: what a client that is cut off comes back with; empty where its login says enough.
    """

    user_name: str
    token: str
    temporary: TemporaryUsers | None = None
    proof: str = ""

    async def deliver(self) -> str:
        """Return the token that opens the server, which is ready; empty where people sign in by the hub."""
        return await self.temporary.deliver(self.user_name) if self.temporary else ""

    async def discard(self) -> None:
        """Remove a temporary user whose launch failed."""
        if self.temporary:
            await self.temporary.discard(self.user_name)


@asynccontextmanager
async def user_for(handler: ServiceHandler, visit: Visit, repo_url: str) -> AsyncIterator[LaunchUser]:
    """Give the user whom a launch is for; raises `Unavailable` if the hub makes no temporary user.

    Args:
        visit: what is asked for, of which the client is filled in here.
    """
    temporary = handler.context.temporary
    if temporary is None or not is_visitor(handler):
        yield LaunchUser(handler.caller.name, caller_token(handler))
        return
    async with temporary.visit(replace(visit, client=visit.client or cookie_of(handler)), repo_url) as name:
        yield LaunchUser(name, temporary.hub.token, temporary, temporary.proof_of(name, visit.asked))


async def launch_for(handler: ServiceHandler, request: Request, path: str, template: Template | None = None) -> Launched:
    """Start the caller's server; a visitor's is ready when this returns. Raises as `Launches.launch`."""
    about = redact(f"{request.repo} at {request.ref or 'HEAD'}")
    try:
        if is_visitor(handler):
            launched = await _launch_for_visitor(handler, request, path, template)
        else:
            launched = await handler.context.launches.launch(caller_token(handler), handler.caller.name, request, path, template=template)
    except BinderError as error:
        handler.context.actions.note(handler.caller.name, Action.LAUNCH, about, error.code)
        raise
    handler.context.actions.note(handler.caller.name, Action.LAUNCH, about, "runs already" if launched.already_running else "started")
    return launched


async def _launch_for_visitor(handler: ServiceHandler, request: Request, path: str, template: Template | None) -> Launched:
    """Return a visitor's server once it is ready, with its token in both addresses; raises as `Launches.launch` and `follow_launch`."""
    context = handler.context
    repo = provider_for(request, context.providers).canonical_repo(request)
    async with user_for(handler, Visit(f"{repo}:{template.name if template else request.ref}"), repo) as user:
        try:
            launched = await context.launches.launch(user.token, user.user_name, request, path, template=template)
            seconds = context.attempts.launch_seconds
            async with aclosing(follow_launch(context.hub_api_url, user.token, user.user_name, launched.server, "", seconds)) as messages:
                async for _ in messages:
                    pass
            token = await user.deliver()
        except BinderError:
            await user.discard()
            raise
    url = f"{launched.url}{'&' if '?' in launched.url else '?'}{urlencode({'token': token})}"
    return replace(launched, url=url, pending_url=url, already_running=False)


def check_is_person(handler: ServiceHandler) -> None:
    """Raise `NotAllowed` unless a person is asking: services have no servers."""
    if handler.current_user.get("kind") == "service":
        raise NotAllowed("A service has no servers to launch.", hint="Come with a person's token.")


def caller_token(handler: ServiceHandler) -> str:
    """Return the token that the caller came with, in a header or in the login cookie."""
    token: str = handler.hub_auth.get_token(handler)
    return token
