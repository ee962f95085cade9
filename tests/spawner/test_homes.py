"""Homes belong to accounts: they follow a name that changes, and nobody gets one by taking a name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session, registry

from spawner.account import HomeOwner, account_of, account_of_user
from spawner.local.homes import Homes

LONG_AGO = datetime.now(UTC) - timedelta(days=9)
LATER = datetime.now(UTC) + timedelta(days=9)


@pytest.fixture
def homes(tmp_path: Path) -> Homes:
    return Homes(tmp_path / "people")


def account(name: str = "alice", number: int = 1, created: datetime = LONG_AGO) -> HomeOwner:
    return account_of(number, name, created)


def test_an_accounts_time_is_the_databases_and_not_what_the_hub_holds_until_it_is_restarted() -> None:
    """MySQL keeps whole seconds; so does this database, which is SQLite otherwise."""

    class Seconds(sa.types.TypeDecorator[datetime]):
        impl, cache_ok = sa.DateTime, True

        def process_bind_param(self, value: datetime | None, dialect: object) -> datetime | None:
            return value and value.replace(microsecond=0)

    engine = sa.create_engine("sqlite://")
    people = registry()
    table = sa.Table("people", people.metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("created", Seconds))
    people.metadata.create_all(engine)
    Person = type("Person", (), {})
    people.map_imperatively(Person, table)
    with Session(engine, expire_on_commit=False) as session:
        person: Any = Person()
        person.created = LONG_AGO.replace(microsecond=5)
        session.add(person)
        session.commit()
        user = SimpleNamespace(db=session, orm_user=person, name="alice")
        assert person.created.microsecond == 5, "what the hub holds"
        found = account_of_user(_AsTheHubsUser(user))
    assert found == HomeOwner(1, "alice", LONG_AGO.replace(microsecond=0))


class _AsTheHubsUser:
    """Has all attributes of the account's row, as the hub's user has."""

    def __init__(self, user: SimpleNamespace) -> None:
        self._user = user

    def __getattr__(self, name: str) -> Any:
        return getattr(self._user, name, None) or getattr(self._user.orm_user, name)


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


@pytest.mark.parametrize(("what", "left"), [("keep", {"alice"}), ("aside", {".deleted"}), ("remove", set())])
def test_a_deleted_accounts_home_is_kept_set_aside_or_removed(homes: Homes, tmp_path: Path, what: str, left: set[str]) -> None:
    home, _ = homes.of(account())
    (home / "work").write_text("work")
    homes.give_up(account(), what)
    assert {path.name for path in (tmp_path / "people").iterdir()} == left | {".owners", ".names"}
    new, _ = homes.of(account(number=2, created=LATER))
    assert list(new.iterdir()) == []


def test_giving_up_leaves_the_homes_of_others(homes: Homes) -> None:
    home, _ = homes.of(account())
    homes.give_up(account(number=2), "remove")
    assert home.is_dir()
