"""What operators' handlers are told of launches and builds."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from jsonschema import Draft7Validator
from jupyter_events import EventLogger

from binderhub_service.app import BinderService
from binderhub_service.assembly import Assembly
from binderhub_service.builds.observers import Observers
from binderhub_service.models import Build, Image, Phase, PreparedEnvironment, Source, State, now
from binderhub_service.monitoring.event_logger import emit_by
from binderhub_service.monitoring.launch_events import Events, Launch
from binderhub_service.providers import shipped_providers

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "binderhub_service" / "monitoring" / "event_schemas"
EXAMPLES = ROOT / "examples" / "events"
LAUNCH = Launch("GitHub", "o/r/main", "0" * 40, build_token=True, origin="binder.example.org", request_origin="https://example.org")


class Kept(logging.Handler):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.events.append(json.loads(self.format(record)))


@pytest.fixture
def kept() -> Kept:
    return Kept()


def schema(name: str) -> Draft7Validator:
    return Draft7Validator(json.loads((SCHEMAS / f"{name}.json").read_text()))


def build(state: State, **values: Any) -> Build:
    created = now()
    source = Source("gh", "https://github.com/o/r", "https://github.com/o/r", "o-r", "main", "0" * 40)
    made = Build("b1", source, Image("image", digest="sha256:1"), state, Phase.DONE, "alice", created)
    return replace(made, started=created + timedelta(seconds=2), finished=created + timedelta(seconds=12), **values)


def test_a_launch_is_told_in_binderhubs_form(kept: Kept) -> None:
    Events(emit_by(EventLogger(handlers=[kept]))).note_launch(LAUNCH)
    (event,) = kept.events
    schema("launch").validate(event)
    assert {name: value for name, value in event.items() if not name.startswith("__") and name != "timestamp"} == {
        "schema": "binderhub.jupyter.org/launch",
        "version": 6,
        "provider": "GitHub",
        "spec": "o/r/main",
        "ref": "0" * 40,
        "status": "success",
        "build_token": True,
        "origin": "binder.example.org",
        "request_origin": "https://example.org",
    }
    assert (event["__schema__"], event["__schema_version__"]) == ("https://binderhub.jupyter.org/launch", "6")


def test_every_provider_is_one_that_the_schema_knows() -> None:
    known = json.loads((SCHEMAS / "launch.json").read_text())["properties"]["provider"]["enum"]
    assert {cls.event_name for cls in shipped_providers().values()} <= set(known)


@pytest.mark.parametrize(
    ("state", "error", "code"),
    [(State.READY, None, None), (State.FAILED, {"code": "build_failed"}, "build_failed"), (State.CANCELLED, {"code": "cancelled"}, "cancelled")],
)
def test_a_build_that_ended_is_told_without_who_asked(kept: Kept, state: State, error: dict[str, str] | None, code: str | None) -> None:
    observer = Observers(Events(emit_by(EventLogger(handlers=[kept]))))
    observer.note_start(build(State.RUNNING))
    observer.note_end(build(state, error=error))
    (event,) = kept.events
    schema("build").validate(event)
    assert (event["state"], event["error"], event["image"]) == (state.value, code, "image@sha256:1")
    assert (event["queued_seconds"], event["build_seconds"]) == (2, 10)
    assert "alice" not in json.dumps(event)


@pytest.mark.parametrize(("action", "who"), [("set", "root-admin"), ("failed", "")])
def test_what_is_done_with_a_prepared_environment_is_told(kept: Kept, action: str, who: str) -> None:
    environment = PreparedEnvironment("course", "https://github.com/o/r", now(), problem="It is away." if action == "failed" else "")
    Events(emit_by(EventLogger(handlers=[kept]))).note_prepared(environment, action, who)
    (event,) = kept.events
    schema("prepared").validate(event)
    assert (event["name"], event["action"], event["who"], event["problem"]) == ("course", action, who, environment.problem)


def test_an_event_that_cannot_be_told_is_left_out_and_logged(kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    Events(emit_by(EventLogger(handlers=[kept]))).note_launch(replace(LAUNCH, provider="SourceForge"))
    assert kept.events == []
    assert "SourceForge" in caplog.text


def test_without_a_handler_nothing_is_told() -> None:
    Events().note_launch(LAUNCH)
    Events(emit_by(EventLogger())).note_launch(LAUNCH)


# The examples


def service_of(example: str) -> BinderService:
    """Return a service whose settings are an example's."""
    app = BinderService()
    app.initialize(["--config", str(EXAMPLES / example)])
    return app


def test_an_example_writes_json_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.jsonl"
    monkeypatch.setenv("EVENTS_FILE", str(path))
    app = service_of("json_lines.py")
    events = Assembly(app).make_events()
    events.note_launch(LAUNCH)
    events.note_end(build(State.READY))
    for handler in app.config.EventLogger.handlers:
        handler.close()
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    assert (first["spec"], second["repo"]) == ("o/r/main", "https://github.com/o/r")


@pytest.fixture
def collector() -> Iterator[tuple[str, Queue[dict[str, Any]]]]:
    """An HTTP server that takes events: its address and what it got."""
    got: Queue[dict[str, Any]] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", got
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_example_posts_to_an_address(collector: tuple[str, Queue[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch) -> None:
    url, got = collector
    monkeypatch.setenv("EVENTS_URL", url)
    Assembly(service_of("post_to_url.py")).make_events().note_launch(LAUNCH)
    assert got.get(timeout=60)["spec"] == "o/r/main"


def test_without_a_handler_what_tells_them_is_not_even_imported() -> None:
    code = "import sys; from binderhub_service.app import BinderService; from binderhub_service.assembly import Assembly"
    code += "; Assembly(BinderService()).make_events(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "binderhub_service.monitoring.launch_events" in loaded
    assert "jupyter_events" not in loaded
