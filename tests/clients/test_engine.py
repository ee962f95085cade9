"""What engines answer, and what is made of it where they answer badly or not at all."""

from __future__ import annotations

import contextlib
import json
import socketserver
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from binderhub_service.clients.engine import Engine, EngineAddress, EngineError
from binderhub_service.errors import Unavailable
from tests.harness.web_thread import in_thread

# The package `docker` leaves a socket to the garbage collector that found no engine behind its file.
pytestmark = pytest.mark.filterwarnings("ignore:.*<socket.socket.*family=.*1:pytest.PytestUnraisableExceptionWarning")

Answering = Callable[[BaseHTTPRequestHandler], None]


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


def handler_of(answers: Answering) -> type[BaseHTTPRequestHandler]:
    """Return what answers as an engine does that says its version to everybody."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            says(200, b'{"ApiVersion": "1.44"}')(self) if self.path == "/version" else answers(self)

        do_POST = do_DELETE = do_GET

        def address_string(self) -> str:
            return "somebody"

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def engine_that(answers: Answering, folder: Path) -> Iterator[Engine]:
    """Serve as an engine at a socket file."""
    place = folder / "engine.sock"
    with in_thread(_Server(str(place), handler_of(answers))):
        yield Engine(EngineAddress(f"unix://{place}"))


@contextmanager
def engine_on_tcp(answers: Answering) -> Iterator[Engine]:
    """Serve as an engine at a port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(answers))
    with in_thread(server):
        yield Engine(EngineAddress(f"tcp://127.0.0.1:{server.server_port}"))


def says(status: int, body: bytes, length: int | None = None) -> Answering:
    """Return what answers always the same."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = True

    return answer


def test_a_refusal_says_what_the_engine_said(tmp_path: Path) -> None:
    with engine_that(says(409, b'{"message": "it is in use"}'), tmp_path) as engine, pytest.raises(EngineError) as caught:
        engine.remove_image("a:1")
    assert (caught.value.message, caught.value.answer) == ("it is in use", 409)


@pytest.mark.parametrize(("body", "message"), [(b"<html>no</html>", "<html>no</html>"), (b"", "The container engine answered 500.")])
def test_a_refusal_that_is_no_json_is_said_as_it_is(tmp_path: Path, body: bytes, message: str) -> None:
    with engine_that(says(500, body), tmp_path) as engine, pytest.raises(EngineError) as caught:
        engine.version()
    assert caught.value.message == message


def test_what_is_not_there_is_none(tmp_path: Path) -> None:
    with engine_that(says(404, b'{"message": "No such image"}'), tmp_path) as engine:
        assert engine.inspect_image("a:1") is None
        engine.remove_image("a:1")
        engine.remove_container("a")


@pytest.mark.parametrize("host", ["unix:///nowhere/engine.sock", "tcp://127.0.0.1:9"])
def test_no_engine_is_unavailable(host: str) -> None:
    with pytest.raises(Unavailable) as caught:
        Engine(EngineAddress(host)).version()
    assert caught.value.code == "engine_unavailable"
    assert host in caught.value.message


ODD = [
    b"",
    b"<html>sign in</html>",
    b"null",
    b"5",
    b'"x"',
    b"[5]",
    b'["x"]',
    b"[[]]",
    b"{}",
    b'[{"Id": "i", "RepoTags": 5}]',
    b'[{"Id": "i", "RepoTags": [5]}]',
]
QUESTIONS: dict[str, Callable[[Engine], object]] = {
    "version": lambda engine: engine.version(),
    "inspect": lambda engine: engine.inspect_image("a:1"),
    "images": lambda engine: engine.images("label"),
    "labelled": lambda engine: engine.labelled("label", "x"),
    "names": lambda engine: engine.names("a"),
    "containers": lambda engine: engine.containers(label="x"),
    "create": lambda engine: engine.create_container("a", {}),
    "wait": lambda engine: engine.wait_for_container("a", 5),
    "pull": lambda engine: list(engine.pull("a:1", None)),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_answer_of_another_shape_is_unavailable(tmp_path: Path, question: str) -> None:
    for body in ODD:
        with engine_that(says(200, body), tmp_path) as engine:
            engine._version = "" if question == "version" else "1.41"
            with contextlib.suppress(Unavailable):
                assert QUESTIONS[question](engine) in ([], {}, [{}]), body
        (tmp_path / "engine.sock").unlink()


def test_half_an_answer_is_none(tmp_path: Path) -> None:
    with engine_that(says(200, b'{"Version": "20', length=1000), tmp_path) as engine, pytest.raises(Unavailable):
        engine.version()


@pytest.mark.parametrize("head_comes_at_once", [True, False])
def test_a_container_that_does_not_end_in_time_has_no_status(tmp_path: Path, head_comes_at_once: bool) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        body = b'{"StatusCode": 0}'
        if head_comes_at_once:  # as real engines do
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.flush()
            time.sleep(0.5)
            with contextlib.suppress(BrokenPipeError):
                handler.wfile.write(body)
            handler.close_connection = True
        else:
            time.sleep(0.5)
            says(200, body)(handler)

    with engine_that(answer, tmp_path) as engine:
        assert engine.wait_for_container("a", 0.1) is None
        assert engine.wait_for_container("a", 5) == 0


def test_what_is_told_meanwhile_is_told_line_by_line_and_an_end_before_the_end_is_said(tmp_path: Path) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for line in (b'{"status": "one"}\r\n\r\n', b'{"status": "two"}\r\n'):
            handler.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
            handler.wfile.flush()
        handler.close_connection = True  # no last chunk

    with engine_that(answer, tmp_path) as engine:
        told = engine.push("a:1", None)
        assert [next(told), next(told)] == [{"status": "one"}, {"status": "two"}]
        with pytest.raises(Unavailable):
            next(told)


def test_a_push_that_is_refused_at_once_is_told_as_an_error(tmp_path: Path) -> None:
    with engine_that(says(404, b'{"message": "no such image"}'), tmp_path) as engine:
        assert list(engine.push("a:1", None)) == [{"error": "no such image"}]


@pytest.mark.parametrize(
    "refusal",
    [
        "errors:\ndigest invalid\nmanifest blob unknown: blob unknown to registry\n",
        "received unexpected HTTP status: 500 Internal Server Error",
        "unknown blob",
        "blob upload unknown",
    ],
)
def test_a_push_that_meets_another_one_of_the_same_layers_is_tried_again(tmp_path: Path, refusal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("binderhub_service.clients.engine._PUSH_WAITS_SECONDS", (0.0, 0.0))
    answers = [{"error": refusal}, {"error": refusal}, {"status": "pushed"}]

    def answer(handler: BaseHTTPRequestHandler) -> None:
        says(200, json.dumps(answers.pop(0)).encode())(handler)

    with engine_that(answer, tmp_path) as engine:
        assert list(engine.push("a:1", None)) == [{"status": "pushed"}]


def test_a_push_that_fails_for_ever_is_given_up_with_the_last_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("binderhub_service.clients.engine._PUSH_WAITS_SECONDS", (0.0, 0.0))
    refusal = {"error": "received unexpected HTTP status: 503 Service Unavailable"}
    with engine_that(says(200, json.dumps(refusal).encode()), tmp_path) as engine:
        assert list(engine.push("a:1", None)) == [refusal]


def test_names_are_those_of_the_repository_and_of_no_other(tmp_path: Path) -> None:
    body = b'[{"RepoTags": ["a:1", "b:1"]}, {"RepoTags": null}, {"RepoTags": ["a:2"]}]'
    with engine_that(says(200, body), tmp_path) as engine:
        assert engine.names("a") == ["a:1", "a:2"]


def test_no_proxy_stands_between_us_and_an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://proxy.invalid:3128")
    with engine_on_tcp(says(200, b'{"Version": "28"}')) as engine:
        assert engine.version() == "28"


def test_threads_may_share_an_engine(tmp_path: Path) -> None:
    with engine_that(says(200, b'{"Version": "28"}'), tmp_path) as engine, ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda _: engine.version(), range(20))) == ["28"] * 20
