"""Templates and named builds, on every database that the store is meant for."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from binderhub_service.errors import BinderError, Conflict, NotFound
from binderhub_service.models import NamedBuild, Template
from binderhub_service.store.named_builds import NamedBuildTable
from binderhub_service.store.store import Store
from binderhub_service.store.templates import TemplateTable
from tests.harness.records import DAY

WHOLE = Template("é", "image", DAY, DAY, "run me", 2**62, 1, "/x", "10.0.0.1", 8888)
NAMED = NamedBuild("o-r", "o/r", "https://github.com/o/r", DAY, build_id="b1")


async def test_a_template_comes_back_as_it_was_stored(store: Store) -> None:
    table = TemplateTable(store)
    await table.add(WHOLE)
    await table.add(Template("a", "i", DAY, DAY))
    assert await table.get("é") == WHOLE
    assert [template.name for template in await table.all()] == ["a", "é"]


async def test_a_name_is_given_once_however_many_ask_at_once(store: Store) -> None:
    table = TemplateTable(store)
    outcomes = await asyncio.gather(*(table.add(replace(WHOLE, image=str(number))) for number in range(20)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes].count(Conflict) == 19


async def test_a_change_sets_what_is_not_empty(store: Store) -> None:
    table = TemplateTable(store)
    await table.add(WHOLE)
    changed = await table.change("é", image="new", command="")
    assert changed == replace(WHOLE, image="new", modified=changed.modified)
    assert changed.modified > DAY
    assert await table.get("é") == changed


async def test_a_template_that_nobody_wrote_is_not_found(store: Store) -> None:
    table = TemplateTable(store)
    with pytest.raises(NotFound):
        await table.get("x")
    with pytest.raises(NotFound):
        await table.change("x", image="i", command="")
    with pytest.raises(BinderError):
        await table.change("x", image="", command="")


async def test_a_name_keeps_its_place_and_its_newest_build(store: Store) -> None:
    table = NamedBuildTable(store)
    assert await table.get("o-r") is None
    for named in (NAMED, replace(NAMED, name="second"), replace(NAMED, build_id="b2")):
        await table.put(named)
    assert [(named.name, named.build_id) for named in await table.all()] == [("o-r", "b2"), ("second", "b1")]


async def test_an_end_is_noted_once_with_its_template(store: Store) -> None:
    names, templates = NamedBuildTable(store), TemplateTable(store)
    await names.put(NAMED)
    ended = replace(NAMED, status="completed", phase="finished", settled=True)
    await names.settle(ended, replace(WHOLE, name="o-r"))
    assert await names.get("o-r") == ended
    assert await names.unsettled() == []
    await names.settle(replace(ended, status="failed"), replace(WHOLE, name="o-r", image="other"))
    assert (await names.get("o-r"), (await templates.get("o-r")).image) == (ended, "image")


async def test_the_end_of_a_build_whose_name_another_has_is_not_noted(store: Store) -> None:
    names, templates = NamedBuildTable(store), TemplateTable(store)
    await names.put(replace(NAMED, build_id="b2"))
    await names.settle(replace(NAMED, settled=True), replace(WHOLE, name="o-r"))
    assert [named.build_id for named in await names.unsettled()] == ["b2"]
    assert await templates.all() == []
