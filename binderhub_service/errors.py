"""What can go wrong, once: a code for programs, a sentence and a hint for people, an HTTP status for the API.

    BinderError
    ├── InvalidRequest      400  the ask itself cannot be understood or is not allowed as it stands
    ├── NotAllowed          403  the requester may not do this
    ├── NotFound            404  a build, a repository or a ref that is not there
    ├── Conflict            409  the thing is not in a state in which this can be done
    ├── BodyTooLarge        413  the request has more content than the service takes
    ├── TooMany             429  a limit is reached; carries seconds to wait
    ├── BuildFailed         422  the repository cannot be made into an image as it is
    └── Unavailable         503  something this service needs could not be asked; the answer is unknown, not "no"

Adapters convert foreign exceptions into one of these where they meet them. They become an HTTP answer in one place
(`handlers.base`) and a build's end event in one place (`builds`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from .common.refusal import Refused


class BinderError(Exception):
    """The root of the tree.

    Args:
        message: one sentence that says what is wrong, for people.
        code: a stable word for programs, e.g. ``ref_not_found``; by default the class's own.
        hint: what to do about it, for people.
    """

    status = 500
    code = "internal_error"

    def __init__(self, message: str, *, code: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.hint = hint

    def as_dict(self) -> dict[str, Any]:
        """Return the error as it appears on the wire: ``code``, ``message`` and ``hint``."""
        return {"code": self.code, "message": self.message, "hint": self.hint}


class InvalidRequest(BinderError):
    """The ask cannot be understood or is not allowed as it stands."""

    status = 400
    code = "invalid_request"

    @classmethod
    def of(cls, refused: Refused) -> Self:
        """Return the error that a refusal of the common rules means."""
        return cls(refused.message, code=refused.code, hint=refused.hint or None)


class NotAllowed(BinderError):
    """The requester may not do this."""

    status = 403
    code = "forbidden"


class NotFound(BinderError):
    """What was named is not there; said only by somebody who could look."""

    status = 404
    code = "not_found"


class Conflict(BinderError):
    """The thing is not in a state in which this can be done."""

    status = 409
    code = "conflict"


class BodyTooLarge(BinderError):
    """The request has more content than the service takes."""

    status = 413
    code = "body_too_large"


class TooMany(BinderError):
    """A limit is reached.

    Args:
        retry_after_seconds: after how many seconds asking again makes sense.
    """

    status = 429
    code = "too_many_requests"

    def __init__(self, message: str, *, retry_after_seconds: int, code: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, code=code, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class BuildFailed(BinderError):
    """The repository cannot be made into an image as it is."""

    status = 422
    code = "build_failed"


class Unavailable(BinderError):
    """Something this service needs could not be asked, so nothing is known."""

    status = 503
    code = "unavailable"


INTERNAL_ERROR = BinderError("An internal error happened.", hint="Try again; if it happens again, ask an administrator to look at the service's log.")
