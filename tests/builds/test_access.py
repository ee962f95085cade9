"""Who may do what."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from binderhub_service.builds import access
from binderhub_service.errors import NotAllowed
from binderhub_service.models import Account, Caller
from tests.harness.records import ADMIN, ALICE, BOB, CANCELLER, DAY, READER, build

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
    assert (access.may_cancel_all(caller) or access.owns(caller, build(1, owner="alice"), {"alice", "bob"})) == may_cancel_all
    if may_build:
        access.check_may_build(caller)
    else:
        with pytest.raises(NotAllowed, match="may not ask") as caught:
            access.check_may_build(caller)
        assert access.BUILD_SCOPE in (caught.value.hint or "")


def test_every_requester_may_read() -> None:
    assert access.may_read(BOB, {"alice", "bob"})
    assert not access.may_read(BOB, {"alice"})
    assert access.may_read(READER, set())


LATE = replace(ALICE, created=DAY + timedelta(days=1))
EARLY = replace(ALICE, created=DAY)


def test_a_name_alone_is_nobodys_account() -> None:
    assert access.may_read(EARLY, {EARLY.account.key})
    assert not access.may_read(LATE, {EARLY.account.key, "alice"})


def test_the_owner_is_the_account_that_asked_first_and_not_a_later_one_of_its_name() -> None:
    both = {EARLY.account.key, LATE.account.key}
    assert access.owns(EARLY, build(1, owner="alice"), both)
    assert not access.owns(LATE, build(1, owner="alice"), both)
    assert not access.owns(EARLY, build(1, owner="alice"), {LATE.account.key})


@pytest.mark.parametrize("name", ["alice", "é" * 200, "x" * 201, "y" * 255])
def test_a_key_has_place_in_the_store_and_differs_by_name_and_moment(name: str) -> None:
    keys = {Account(name, DAY + timedelta(microseconds=number)).key for number in range(3)} | {Account(f"{name[:-1]}z", DAY).key, name}
    assert len(keys) == 5
    assert all(len(key) <= 255 for key in keys)


def test_a_service_with_a_users_name_is_somebody_else() -> None:
    assert not access.may_read(Caller("service:alice"), {"alice"})
