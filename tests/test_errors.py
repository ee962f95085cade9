"""Every error says itself on the wire, with a status of its own."""

from __future__ import annotations

import pytest

from binderhub_service import errors
from binderhub_service.errors import (
    INTERNAL_ERROR,
    BinderError,
    BodyTooLarge,
    BuildFailed,
    Conflict,
    InvalidRequest,
    NotAllowed,
    NotFound,
    TooMany,
    Unavailable,
)

STATUSES = {InvalidRequest: 400, NotAllowed: 403, NotFound: 404, Conflict: 409, BodyTooLarge: 413, BuildFailed: 422, TooMany: 429, Unavailable: 503}


def test_every_error_of_the_tree_has_its_status_and_is_in_the_picture() -> None:
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, BinderError)} - {BinderError}
    assert {kind: kind.status for kind in kinds} == STATUSES
    assert all(f"{kind.__name__} " in (errors.__doc__ or "") and str(kind.status) in (errors.__doc__ or "") for kind in kinds)
    assert len({kind.code for kind in kinds}) == len(kinds)


@pytest.mark.parametrize("kind", [kind for kind in STATUSES if kind is not TooMany])
def test_an_error_becomes_what_the_wire_wants(kind: type[BinderError]) -> None:
    assert kind("A sentence.").as_dict() == {"code": kind.code, "message": "A sentence.", "hint": None}
    assert kind("A.", code="special", hint="B.").as_dict() == {"code": "special", "message": "A.", "hint": "B."}


def test_an_error_survives_the_way_through_a_build_process() -> None:
    error = BuildFailed("A.", code="b", hint="C.")
    assert BuildFailed(**error.as_dict()).as_dict() == error.as_dict()


def test_too_many_says_when_to_come_back() -> None:
    assert TooMany("Later.", retry_after_seconds=7).retry_after_seconds == 7


def test_an_internal_error_tells_nothing_and_is_no_persons_fault() -> None:
    assert (INTERNAL_ERROR.status, INTERNAL_ERROR.code) == (500, "internal_error")
    assert INTERNAL_ERROR.hint
