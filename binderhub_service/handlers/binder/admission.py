"""How often BinderHub's ``/build`` may be asked, and by whom."""

from __future__ import annotations

from ...builds.controls import ControlKind
from ...errors import NotAllowed, NotFound
from ...launches.temporary_users import Visit
from ..base import ServiceHandler
from ..visitors import is_visitor


async def checked_build_token(handler: ServiceHandler, asked: str, build_id: str) -> str:
    """Return the request's build token; empty if it has none.

    Args:
        asked: the provider and the spec as they were sent.
        build_id: the build that the client says it was cut off from, for which an ended token will do; empty for none.

    Raises:
        NotAllowed: the token is not one of ours for what is asked; or there is none, and a visitor needs one.
    """
    tokens, token = handler.context.build_tokens, handler.get_query_argument("build_token", "")
    if token:
        tokens.check(token, asked, handler.page_host, is_resumed=bool(build_id) and await _has_asked(handler, build_id))
    elif tokens.required and is_visitor(handler):
        raise NotAllowed("Launches without a login need a build token.", hint="Open the repository's page on this site instead.")
    return token


async def check_rate(handler: ServiceHandler, visit: Visit, build_token: str) -> None:
    """Count a request, and tell in headers how many more there may be; nobody is told where there is no limit.

    Who comes back to a launch of their own is not counted.

    Args:
        visit: what is asked for.
        build_token: as it was checked; empty if there is none.

    Raises:
        TooMany: there were as many as there may be.
        Unavailable: the store did not answer.
    """
    context = handler.context
    if not is_visitor(handler):
        name = handler.caller.name
        limit = await context.controls.number_of_person(ControlKind.LAUNCHES_OF_PERSON, name, context.rates.limits.per_token)
        allowance = await context.rates.take_of_person(name, limit)
    elif context.temporary and visit.resumes and await context.temporary.is_resumed(visit):
        return
    elif build_token:
        allowance = await context.rates.take_of_token(build_token)
    else:
        allowance = await context.rates.take_of_address(handler.request.remote_ip or "")
    if allowance:
        handler.set_header("X-RateLimit-Remaining", str(allowance.remaining))
        handler.set_header("X-RateLimit-Reset", str(allowance.reset))
        handler.set_header("X-RateLimit-Limit", str(allowance.limit))


async def check_launch_rate(handler: ServiceHandler, link: str, build_token: str) -> None:
    """Count a launch by a page of ours or by ``api/launches``, as `check_rate` counts what ``/build`` is asked.

    Args:
        link: what is launched, as it stands in a link behind ``v2/``.
        build_token: the page's; an ended or wrong token does not help.

    Raises:
        TooMany, Unavailable: as `check_rate`.
    """
    try:
        handler.context.build_tokens.check(build_token, link, handler.page_host)
    except NotAllowed:
        build_token = ""
    await check_rate(handler, Visit(link), build_token)


async def _has_asked(handler: ServiceHandler, build_id: str) -> bool:
    try:
        await handler.context.builds.get(build_id, handler.caller)
    except (NotAllowed, NotFound):
        return False
    return True
