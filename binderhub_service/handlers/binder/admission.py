"""How often BinderHub's ``/build`` may be asked, and by whom."""

from __future__ import annotations

from ...temporary_users import Visit
from ..base import ServiceHandler
from ..visitors import is_visitor


async def check_rate(handler: ServiceHandler, visit: Visit) -> None:
    """Count a request, and tell in headers how many more there may be; nobody is told where there is no limit.

    Who comes back to a launch of their own is not counted.

    Args:
        visit: what is asked for.

    Raises:
        TooMany: there were as many as there may be.
        Unavailable: the store did not answer.
    """
    context = handler.context
    if not is_visitor(handler):
        allowance = await context.rates.take_of_token(handler.caller.name)
    elif context.temporary and visit.resumes and await context.temporary.is_resumed(visit):
        return
    else:
        allowance = await context.rates.take_of_address(handler.request.remote_ip or "")
    if allowance:
        handler.set_header("X-RateLimit-Remaining", str(allowance.remaining))
        handler.set_header("X-RateLimit-Reset", str(allowance.reset))
        handler.set_header("X-RateLimit-Limit", str(allowance.limit))
