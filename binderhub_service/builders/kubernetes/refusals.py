"""What an API server's refusal means, and what people are told of it; pure."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import NamedTuple

from ...errors import Unavailable

_MAX_SHOWN = 500
# How the API server says no, behind the name of the object.
_FORBIDDEN, _INVALID = " is forbidden: ", " is invalid: "
_NO_RIGHT = "User "
_QUOTA = ("exceeded quota", "status unknown for quota")
_WEBHOOK = "denied the request"
_WEBHOOK_AWAY = re.compile(r'failed calling webhook "([^"]{1,253})"')
_ADMINISTRATOR = "Ask an administrator: the service's log says why."


class Refusal(Unavailable):
    """The API server answered, and did not do what it was asked to.

    Args:
        status: the HTTP status.
        told: the API server's sentence.
    """

    def __init__(self, status: int, told: str = "") -> None:
        meaning = _meaning(status, told)
        super().__init__(meaning.message, code=meaning.code, hint=meaning.hint)
        self.status = int(status)
        self.told = told


class _Meaning(NamedTuple):
    message: str
    code: str
    hint: str


def _meaning(status: int, told: str) -> _Meaning:
    """Return what is said; accounts and rights of the service are not for everybody, and in the log alone."""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT):
        webhook = _WEBHOOK_AWAY.search(told)
        if webhook:
            sentence = f"The webhook {webhook[1]}, which the cluster asks about pods, does not answer."
            return _Meaning(sentence, code="cluster_unavailable", hint=_ADMINISTRATOR)
        return _Meaning("The cluster cannot answer now.", code="cluster_unavailable", hint="Try again in a moment.")
    if status == HTTPStatus.UNAUTHORIZED:
        return _Meaning(
            "The cluster does not know the service any more: its account or its token is gone.",
            code="cluster_refused",
            hint="Tell an administrator: where the service's account was made anew, a restart of the service gives it another token.",
        )
    if status == HTTPStatus.NOT_FOUND and told:
        return _Meaning(f"The cluster lacks what a build needs: {told[:_MAX_SHOWN]}", code="cluster_refused", hint="Tell an administrator.")
    why = (told.partition(_FORBIDDEN)[2] or told.partition(_INVALID)[2])[:_MAX_SHOWN]
    if why.startswith(_QUOTA):
        return _Meaning(
            f"What builds may take from the cluster is used up: {why}",
            code="cluster_quota_exceeded",
            hint="Ask again when less is going on; if it stays so, ask an administrator.",
        )
    if (why and not why.startswith(_NO_RIGHT)) or _WEBHOOK in told:
        return _Meaning(
            f"The cluster does not admit the build's pod: {why or told[:_MAX_SHOWN]}",
            code="pod_not_admitted",
            hint="Tell an administrator: the builds' namespace needs another level of Pod Security or other policies, or builds need other settings.",
        )
    return _Meaning("The cluster refuses what a build needs.", code="cluster_refused", hint=_ADMINISTRATOR)
