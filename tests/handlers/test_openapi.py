"""The description of the native API says what the handlers do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from tornado import web

from binderhub_service import __version__
from binderhub_service.builds.controls import ControlKind
from binderhub_service.builds.prepared import NAME
from binderhub_service.context import AppContext
from binderhub_service.errors import BinderError
from binderhub_service.handlers.application import make_application
from binderhub_service.handlers.base import build_json
from binderhub_service.handlers.controls import control_json
from binderhub_service.handlers.copies import copy_json
from binderhub_service.handlers.images import _image_json
from binderhub_service.handlers.system import openapi
from binderhub_service.handlers.templates import template_json
from binderhub_service.images import StoredImage
from binderhub_service.launches.launches import Launched
from binderhub_service.models import Build, Control, Image, Kind, Phase, Source, State, Template, now
from binderhub_service.settings.legacy import LegacySettings
from binderhub_service.settings.pages import PageSettings
from binderhub_service.working_copies import StoredCopy

PREFIX = "/services/binder/"
# How the parts of a path that differ are written in the routes, and what they are called in the description.
NAMES = {"([^/]+)": "build_id", "(.+)": "image", "(.{1,1000})": "copy", "([a-z-]+)": "kind", f"({NAME})": "name"}
PARAMETERS = re.compile("|".join(map(re.escape, NAMES)))
METHODS = {"get", "post", "put", "patch", "delete"}
SCHEMAS: dict[str, Any] = openapi()["components"]["schemas"]


def mounted() -> dict[str, type[web.RequestHandler]]:
    """Return the handlers below ``api/`` by path, as the description writes paths; what takes the rest is left out."""
    application = make_application(
        cast(AppContext, SimpleNamespace(prefix=PREFIX, pages=PageSettings(), is_api_only=False, legacy=LegacySettings())), b"secret"
    )
    paths = [(rule.matcher, rule.target) for rule in application.wildcard_router.rules if hasattr(rule.matcher, "regex")]
    rules = {matcher.regex.pattern.removesuffix("$").removesuffix("/?"): target for matcher, target in paths}
    below = {path.removeprefix(f"{PREFIX}api"): handler for path, handler in rules.items() if path.startswith(f"{PREFIX}api/")}
    return {PARAMETERS.sub(lambda match: "{" + NAMES[match[0]] + "}", path): handler for path, handler in below.items() if not path.endswith(".*")}


def methods_of(handler: type[web.RequestHandler]) -> set[str]:
    return {method for method in METHODS if getattr(handler, method) is not getattr(web.RequestHandler, method)}


def a_build(**changes: Any) -> Build:
    time = datetime(2026, 1, 2, tzinfo=UTC)
    source = Source(provider="git", repo="https://git.example/o/r", url="https://git.example/o/r", slug="s", ref="HEAD", commit="a" * 40)
    fields: dict[str, Any] = {"id": "19cebab89957ab46b7a", "source": source, "image": Image("i"), "state": State.QUEUED, "phase": Phase.QUEUED}
    return Build(**fields | {"owner": "alice", "created": time} | changes)


def problems(schema: str, value: object) -> list[str]:
    """Return what is wrong with a value that a schema describes."""
    whole = {"$ref": f"#/components/schemas/{schema}", "components": openapi()["components"]}
    return [error.message for error in Draft202012Validator(whole).iter_errors(value)]


def examples() -> Iterator[tuple[str, Any, Any]]:
    """Yield every example of a JSON answer or body: where it is, its schema, and its value."""

    def within(node: Any, place: str) -> Iterator[tuple[str, Any, Any]]:
        if not isinstance(node, dict):
            return
        for media_type, content in node.get("content", {}).items():
            if media_type == "application/json":
                yield from ((f"{place} {name}", content["schema"], one["value"]) for name, one in content.get("examples", {}).items())
        for key, child in node.items():
            yield from within(child, f"{place} {key}")

    yield from within({"paths": openapi()["paths"], "responses": openapi()["components"]["responses"]}, "")
    for name, schema in SCHEMAS.items():
        yield from ((f"{name} {number}", schema, value) for number, value in enumerate(schema.get("examples", [])))


def test_the_description_is_valid_openapi() -> None:
    validate(openapi())


def test_the_description_is_of_this_version() -> None:
    assert openapi()["info"]["version"] == __version__


def test_every_mounted_path_is_described_and_no_other() -> None:
    assert set(openapi()["paths"]) == set(mounted())


@pytest.mark.parametrize("path", mounted())
def test_a_path_has_exactly_the_methods_of_its_handler(path: str) -> None:
    assert METHODS & set(openapi()["paths"][path]) == methods_of(mounted()[path])


def test_a_build_has_exactly_the_described_keys_in_their_order() -> None:
    assert SCHEMAS["Build"]["required"] == list(build_json(a_build(), None))
    assert list(SCHEMAS["Build"]["properties"]) == list(build_json(replace(a_build(), notice="This is what you had."), None))


@pytest.mark.parametrize(("schema", "enum"), [("State", State), ("Phase", Phase), ("Kind", Kind)])
def test_the_described_values_are_those_of_the_models(schema: str, enum: type[State | Phase | Kind]) -> None:
    assert SCHEMAS[schema]["enum"] == [member.value for member in enum]


def test_an_event_log_ends_in_one_of_the_states_that_have_ended() -> None:
    assert SCHEMAS["EndEvent"]["properties"]["state"]["enum"] == [state.value for state in State if state.ended]


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_event_is_described(kind: Kind) -> None:
    assert SCHEMAS[f"{kind.value.capitalize()}Event"]["examples"]


@pytest.mark.parametrize(
    ("build", "queue"),
    [
        (a_build(), {"position": 1, "estimate_seconds": None}),
        (a_build(state=State.RUNNING, phase=Phase.BUILDING, started=datetime.now(UTC), last_event=3), None),
        (a_build(state=State.READY, phase=Phase.DONE, image=Image("i", "key"), finished=datetime.now(UTC)), None),
        (a_build(state=State.FAILED, error=BinderError("No.", hint=None).as_dict()), None),
    ],
    ids=["queued", "running", "ready", "failed"],
)
def test_a_build_as_it_is_written_fits_its_schema(build: Build, queue: dict[str, Any] | None) -> None:
    assert problems("Build", json.loads(json.dumps(build_json(build, queue)))) == []


def test_a_key_that_is_not_described_does_not_fit() -> None:
    assert problems("Build", build_json(a_build(), None) | {"surprise": 1})


def test_an_image_as_it_is_written_fits_its_schema() -> None:
    image = StoredImage(name="i", bytes=5, made=datetime.now(UTC), used_by=("alice/", "bob/other"))
    written = _image_json(image, datetime.now(UTC))
    assert problems("StoredImage", written) == []
    assert list(written) == SCHEMAS["StoredImage"]["required"]


def test_a_working_copy_as_it_is_written_fits_its_schema() -> None:
    written = copy_json(StoredCopy("ada/default/r", "ada", "https://git.example.org/o/r", 5, datetime.now(UTC), running=False))
    assert problems("StoredCopy", written) == []
    assert list(written) == SCHEMAS["StoredCopy"]["required"]


@pytest.mark.parametrize("more", [{}, {"command": "start.sh", "memory": 1024, "cpu_shares": 2}])
def test_a_template_as_it_is_written_fits_its_schema(more: dict[str, Any]) -> None:
    written = template_json(Template("lab", "an/image", created=now(), modified=now(), **more))
    assert problems("StoredTemplate", written) == []
    assert list(written) == SCHEMAS["StoredTemplate"]["required"]


def test_a_control_as_it_is_written_fits_its_schema() -> None:
    written = control_json(Control("pause", "", "Until noon.", set_by="root", set_at=now()))
    assert problems("Control", written) == []
    assert list(written) == SCHEMAS["Control"]["required"]
    assert SCHEMAS["ControlKind"]["enum"] == list(ControlKind)


def test_a_launch_has_exactly_the_described_keys() -> None:
    assert SCHEMAS["Launched"]["required"] == list(Launched.__dataclass_fields__)


@pytest.mark.parametrize(("schema", "value"), [example[1:] for example in examples()], ids=[example[0] for example in examples()])
def test_an_example_fits_its_schema(schema: dict[str, Any], value: Any) -> None:
    whole = {"allOf": [schema], "components": openapi()["components"]}
    assert [error.message for error in Draft202012Validator(whole).iter_errors(value)] == []


def test_every_schema_is_referred_to_or_named_in_a_text() -> None:
    text = json.dumps(openapi())
    assert [name for name in SCHEMAS if not re.search(rf"#/components/schemas/{name}\"|`{name}`", text)] == []
