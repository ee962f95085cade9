"""What the service's answers mean; pure."""

from __future__ import annotations

import httpx

from binderhub_service.common.json_object import json_object

_AWAY = frozenset({502, 503, 504})
_AWAY_CODES = frozenset({"service_starting", "service_stopping"})  # the service's own words for: not yet, or not any more


class ServiceError(Exception):
    """The service said no, or could not be asked.

    Attributes:
        status: the HTTP status of its answer; 0 if there was none.
        code: a stable word for programs, e.g. ``ref_not_found``; ``service_unavailable`` if there was no answer.
        message: one sentence for people.
        hint: what to do about it; may be empty.
        retry_after_seconds: when asking again makes sense, if the service said so.
    """

    def __init__(self, status: int, code: str, message: str, hint: str = "", retry_after_seconds: int | None = None) -> None:
        super().__init__(f"{code} ({status}): {message}")
        self.status = status
        self.code = code
        self.message = message
        self.hint = hint
        self.retry_after_seconds = retry_after_seconds


class Away(Exception):
    """The service did not answer, is starting or stopping, or something in front of it answered; asking again may help.

    Args:
        reason: the service's own sentence about it; empty if it gave none.
    """

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


def refusal(response: httpx.Response) -> ServiceError | Away:
    """Return what an answer other than success means: the service's own error, or that the service is away or was not the one who answered."""
    try:
        error = json_object(response.text)["error"]
        code, message, hint = error["code"], error["message"], error.get("hint")
    except (ValueError, LookupError, TypeError, AttributeError):
        return Away() if response.status_code in _AWAY else nonsense(response)
    if code in _AWAY_CODES and response.status_code in _AWAY:
        return Away(str(message))
    retry_after = response.headers.get("Retry-After", "")
    return ServiceError(response.status_code, str(code), str(message), str(hint or ""), int(retry_after) if retry_after.isdecimal() else None)


def nonsense(response: httpx.Response) -> ServiceError:
    """Return the error for an answer that is not the service's."""
    if response.status_code in {401, 403}:
        return ServiceError(403, "forbidden", "You may not ask for builds here.", "Ask an administrator of this hub for the right to.")
    if response.is_redirect:
        message = f"There is no build service at this address, which leads on to {response.headers['Location']}."
        return ServiceError(response.status_code, "unexpected_answer", message, "Check the address.")
    message = f"The build service's answer (HTTP {response.status_code}) makes no sense."
    return ServiceError(response.status_code, "unexpected_answer", message, "Ask an administrator to look at its log.")


def unavailable(cause: BaseException | None) -> ServiceError:
    """Return the error for a service that does not answer, with the reason that it gave itself."""
    hint = "Try again in a minute; if it stays away, ask an administrator to look at its log."
    return ServiceError(0, "service_unavailable", away_sentence(cause), hint)


def away_sentence(cause: BaseException | None) -> str:
    """Return what people should know of a service that does not answer."""
    reason = cause.reason if isinstance(cause, Away) else ""
    return f"The build service does not answer: {reason}" if reason else "The build service does not answer."
