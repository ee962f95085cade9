"""Who may do what."""

from __future__ import annotations

import pytest

from binderhub_service.builds import access
from binderhub_service.errors import NotAllowed
from binderhub_service.models import Caller
from tests.harness.records import ADMIN, ALICE, BOB, CANCELLER, READER, build

NOBODY = Caller("nobody")


@pytest.mark.parametrize(
    ("caller", "may_build", "may_read_all", "may_cancel_all"),
    [
        (ADMIN, True, True, True),
        (ALICE, True, False, True),
        (BOB, True, False, False),
        (READER, False, True, False),
        (CANCELLER, False, True, True),
        (NOBODY, False, False, False),
    ],
)
def test_scopes_say_who_may_do_what_with_alices_build(caller: Caller, may_build: bool, may_read_all: bool, may_cancel_all: bool) -> None:
    assert access.may_read_all(caller) == may_read_all
    assert access.may_cancel_for_all(caller, build(1, owner="alice")) == may_cancel_all
    if may_build:
        access.check_may_build(caller)
    else:
        with pytest.raises(NotAllowed, match="may not ask") as caught:
            access.check_may_build(caller)
        assert access.BUILD_SCOPE in (caught.value.hint or "")


def test_whoever_asked_may_read() -> None:
    assert access.may_read(BOB, {"alice", "bob"})
    assert not access.may_read(BOB, {"alice"})
    assert access.may_read(READER, set())


def test_a_service_with_a_users_name_is_somebody_else() -> None:
    assert not access.may_read(Caller("service:alice"), {"alice"})
