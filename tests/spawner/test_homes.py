"""Homes belong to accounts: they follow a name that changes, and nobody gets one by taking a name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from spawner.account import Account, account_of
from spawner.local.homes import Homes

LONG_AGO = datetime.now(UTC) - timedelta(days=9)
LATER = datetime.now(UTC) + timedelta(days=9)


@pytest.fixture
def homes(tmp_path: Path) -> Homes:
    return Homes(tmp_path / "people")


def account(name: str = "alice", number: int = 1, created: datetime = LONG_AGO) -> Account:
    return account_of(number, name, created)


def test_a_home_has_the_accounts_name_and_is_private(homes: Homes, tmp_path: Path) -> None:
    home, said = homes.of(account())
    assert (home, said) == (tmp_path / "people" / "alice", "")
    assert [path.stat().st_mode & 0o777 for path in (home, home.parent, home.parent / ".owners")] == [0o700] * 3


def test_a_home_follows_an_account_that_is_renamed(homes: Homes) -> None:
    home, _ = homes.of(account())
    assert homes.of(account("alicia")) == (home, "")


def test_who_takes_the_name_of_a_renamed_account_does_not_get_its_home(homes: Homes) -> None:
    home, _ = homes.of(account())
    homes.of(account("alicia"))
    other, said = homes.of(account(number=2))
    assert other != home
    assert "alice are not yours" in said
    assert homes.of(account(number=2)) == (other, "")


def test_an_older_account_that_takes_a_name_does_not_get_the_home_of_it(homes: Homes) -> None:
    home, _ = homes.of(account())
    older = account(number=7, created=LONG_AGO - timedelta(days=1))
    assert homes.of(older)[0] != home


def test_a_number_that_is_used_again_is_another_account(homes: Homes) -> None:
    home, _ = homes.of(account())
    assert homes.of(account(created=LATER))[0] != home


def test_a_home_of_before_there_were_owners_is_found_again(homes: Homes, tmp_path: Path) -> None:
    (tmp_path / "people" / "alice" / "default").mkdir(parents=True)
    assert homes.of(account()) == (tmp_path / "people" / "alice", "")
    assert homes.of(account("alicia"))[0] == tmp_path / "people" / "alice"


def test_a_home_of_before_there_were_owners_that_is_older_than_the_account_is_anothers(homes: Homes, tmp_path: Path) -> None:
    (tmp_path / "people" / "alice" / "default").mkdir(parents=True)
    home, said = homes.of(account(created=LATER))
    assert home != tmp_path / "people" / "alice"
    assert said


def test_no_name_of_an_account_leads_to_a_home_that_is_not_its_own(homes: Homes) -> None:
    homes.of(account())
    other, _ = homes.of(account(number=2))
    assert homes.of(account(other.name, number=3))[0] != other
    assert homes.of(account(".owners", number=4))[0].name not in {".owners", ".deleted"}


@pytest.mark.parametrize(("what", "left"), [("keep", {".owners", "alice"}), ("aside", {".owners", ".deleted"}), ("remove", {".owners"})])
def test_a_deleted_accounts_home_is_kept_set_aside_or_removed(homes: Homes, tmp_path: Path, what: str, left: set[str]) -> None:
    home, _ = homes.of(account())
    (home / "work").write_text("work")
    homes.give_up(account(), what)
    assert {path.name for path in (tmp_path / "people").iterdir()} == left
    new, _ = homes.of(account(number=2, created=LATER))
    assert list(new.iterdir()) == []


def test_giving_up_leaves_the_homes_of_others(homes: Homes) -> None:
    home, _ = homes.of(account())
    homes.give_up(account(number=2), "remove")
    assert home.is_dir()
