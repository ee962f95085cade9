"""What all answers of the service have in common."""

from __future__ import annotations

from typing import Any

import httpx


def error_of(reply: httpx.Response) -> dict[str, Any]:
    """Return the error in an answer, which has to have the form that all errors have."""
    error: dict[str, Any] = reply.json()["error"]
    assert set(error) == {"code", "message", "hint"}
    assert error["message"]
    return error
