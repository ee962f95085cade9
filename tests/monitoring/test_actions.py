"""Whatever is done to builds, images and controls is an event and a line of the log, with who and how it ended, and without credentials."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from jsonschema import Draft7Validator
from jupyter_events import EventLogger

from binderhub_service.app import BinderService
from binderhub_service.models import State
from binderhub_service.monitoring.actions import ACTION_SCHEMA, Action, Actions
from binderhub_service.monitoring.event_logger import emit_by
from tests.builds.test_controls import ADMIN, put
from tests.handlers.test_api import REPO, Service, hub_auth, service
from tests.monitoring.test_launch_events import Kept, build

__all__ = ["hub_auth", "service"]  # fixtures
SCHEMA = Path(__file__).parents[2] / "binderhub_service" / "monitoring" / "event_schemas" / "action.json"


def test_every_action_is_an_event_that_its_schema_knows() -> None:
    kept = Kept()
    actions = Actions(emit_by(EventLogger(handlers=[kept])))
    actions.note_start(build(State.RUNNING))
    actions.note_end(build(State.FAILED, error={"code": "build_failed"}))
    actions.note_removed("image")
    for action in Action:
        actions.note("bob", action, "about", "result")
    validator = Draft7Validator(json.loads(SCHEMA.read_text()))
    for event in kept.events:
        validator.validate(event)
        assert event["__schema__"] == ACTION_SCHEMA
    told = [(event["who"], event["action"], event["about"], event["result"]) for event in kept.events[:3]]
    assert told == [
        ("alice", "build-started", "b1 of https://github.com/o/r", "0" * 40),
        ("alice", "build-ended", "b1 of https://github.com/o/r", "failed (build_failed)"),
        ("service:binder", "image-removed", "image", "removed"),
    ]


async def test_the_log_says_who_switched_something(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "binderhub_service")
    await put(service, "ban-person", pattern="eve", text="See your e-mail.")
    await service.ask("DELETE", "/controls/ban-person?pattern=eve", ADMIN)
    assert [record.getMessage() for record in caplog.records if record.name == "binderhub_service"] == [
        f"control-set by {ADMIN}: ban-person eve: See your e-mail.",
        f"control-removed by {ADMIN}: ban-person eve: removed",
    ]


@pytest.mark.parametrize("arguments", [[], ["--BinderService.log_json=True"]])
def test_a_line_of_the_log_has_a_level_and_a_time_and_no_credential(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    app = BinderService()
    app.initialize(["--state-dir=state", *arguments])
    logger = logging.getLogger("binderhub_service")
    logger.warning("Cloning %s", REPO.replace("://", "://user:s3cret@"))
    try:
        raise ValueError("why")
    except ValueError:
        logger.exception("It broke")
    lines = capsys.readouterr().err.splitlines()
    assert "s3cret" not in str(lines)
    if arguments:
        first, second = map(json.loads, lines)
        assert (first["level"], first["logger"], second["message"]) == ("warning", "binderhub_service", "It broke")
        assert "ValueError: why" in second["traceback"]
        assert first["time"].endswith("Z")
    else:
        assert lines[0].startswith("[W 20")
        assert " binderhub_service] Cloning " in lines[0]
