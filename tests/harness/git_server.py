"""A real smart-HTTP Git server on loopback: Git's own `git http-backend` behind a threaded HTTP server.

Repositories can be private (HTTP basic authentication) and can be made to misbehave: see `Repository.hang`,
`answer`, `drop` and `slow`. What is in `Repository.lfs` it serves to git-lfs.
"""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.harness.repository import BareRepository, Files, files_in
from tests.harness.web_thread import in_thread

LONGEST_HANG_SECONDS = 120


@dataclass
class Trouble:
    """How a repository misbehaves, for its next `times` requests (None: until it recovers)."""

    kind: str
    times: int | None = None
    status: int = 503
    seconds: float = 0


@dataclass(frozen=True)
class Seen:
    """A request that reached a repository; the last three are its headers Git-Protocol, Authorization and Content-Encoding."""

    method: str
    path: str
    protocol: str
    authorization: str
    encoding: str


class Repository(BareRepository):
    """A repository as the server offers it.

    Attributes:
        url: what `git clone` takes, without credentials.
        login: user and password if it is private.
        requests: every request that arrived, oldest first.
        lfs: what it keeps for git-lfs, by SHA-256.
    """

    def __init__(self, directory: Path, url: str, login: tuple[str, str] | None = None) -> None:
        super().__init__(directory)
        self.url = url
        self.login = login
        self.requests: list[Seen] = []
        self.lfs: dict[str, bytes] = {}
        self.recovered = threading.Event()
        self._trouble: Trouble | None = None
        self._lock = threading.Lock()

    def keep_for_lfs(self, content: bytes) -> str:
        """Keep a file for git-lfs; return the pointer to it, which is what is committed."""
        name = hashlib.sha256(content).hexdigest()
        self.lfs[name] = content
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{name}\nsize {len(content)}\n"

    def hang(self, times: int | None = None) -> None:
        """Accept requests and say nothing until `recover`."""
        self._begin(Trouble("hang", times))

    def answer(self, status: int, times: int | None = None) -> None:
        """Answer with an HTTP status instead of Git's own answer."""
        self._begin(Trouble("answer", times, status=status))

    def drop(self, times: int | None = None) -> None:
        """Close the connection without an answer."""
        self._begin(Trouble("drop", times))

    def slow(self, seconds: float, times: int | None = None) -> None:
        """Wait before each answer."""
        self._begin(Trouble("slow", times, seconds=seconds))

    def recover(self) -> None:
        """Behave well again; requests that hang are answered now."""
        with self._lock:
            self._trouble = None
        self.recovered.set()

    def count(self, suffix: str) -> int:
        """How many requests' paths ended in `suffix`, e.g. ``info/refs`` (an ls-remote is one of them, a clone another)."""
        return sum(urlsplit(seen.path).path.endswith(suffix) for seen in self.requests)

    def next_trouble(self) -> Trouble | None:
        """Take the trouble that is due for one request."""
        with self._lock:
            trouble = self._trouble
            if trouble and trouble.times is not None:
                trouble.times -= 1
                if trouble.times <= 0:
                    self._trouble = None
            return trouble

    def _begin(self, trouble: Trouble) -> None:
        self.recovered.clear()
        with self._lock:
            self._trouble = trouble


class GitServer:
    """Serves repositories below `root` at `url`; start it by `running`.

    Args:
        host: the address of this machine to listen on.
        tls: speaks https with this certificate; plain http without.
    """

    def __init__(self, root: Path, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.root = root
        self.repositories: dict[str, Repository] = {}
        self._http = _Server(self, host)
        if tls:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"{'https' if tls else 'http'}://{host}:{self._http.server_port}"

    def create(self, name: str, files: Files | Path | None = None, login: tuple[str, str] | None = None) -> Repository:
        """Make the repository `name` (``owner/project``), with a first commit of `files` (or of a folder's files) if given.

        Args:
            login: user and password without which it answers 401.
        """
        repository = Repository(self.root / f"{name}.git", f"{self.url}/{name}.git", login)
        if files is not None:
            repository.commit(files_in(files) if isinstance(files, Path) else files)
        self.repositories[f"/{name}.git"] = repository
        return repository

    def find(self, path: str) -> Repository | None:
        """Return the repository that a request's path is about; addresses work with and without ``.git``."""
        plain = path.partition("/info/lfs/")[0].removesuffix("/info/refs").removesuffix("/git-upload-pack")
        return self.repositories.get(plain if plain.endswith(".git") else f"{plain}.git")

    @contextmanager
    def running(self) -> Iterator[GitServer]:
        """Serve while the block runs."""
        with in_thread(self._http):
            try:
                yield self
            finally:
                for repository in self.repositories.values():
                    repository.recover()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    git: GitServer

    def __init__(self, git: GitServer, host: str) -> None:
        super().__init__((host, 0), _Handler)
        self.git = git

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that goes away in the middle is no error of the server's."""


class _Handler(BaseHTTPRequestHandler):
    """One request: trouble first, then the login, then `git http-backend`."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the test's output clean."""

    def _serve(self) -> None:
        body = self._body()
        parts = urlsplit(self.path)
        repository = self.server.git.find(parts.path)
        if repository is None:
            self._reply(404, {}, b"no such repository\n")
            return
        told = (self.headers.get(name, "") for name in ("Git-Protocol", "Authorization", "Content-Encoding"))
        repository.requests.append(Seen(self.command, self.path, *told))
        if self._in_trouble(repository):
            return
        if repository.login and not self._may_enter(repository.login):
            self._reply(401, {"WWW-Authenticate": 'Basic realm="Git"'}, b"please log in\n")
            return
        if "/info/lfs/" in parts.path:
            self._serve_lfs(repository, parts.path.partition("/info/lfs/")[2], body)
            return
        service = "/info/refs" if parts.path.endswith("/info/refs") else "/git-upload-pack"
        self._run_backend(repository, service, parts.query, body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _in_trouble(self, repository: Repository) -> bool:
        trouble = repository.next_trouble()
        if trouble is None:
            return False
        if trouble.kind == "answer":
            self._reply(trouble.status, {}, b"in trouble\n")
            return True
        if trouble.kind == "drop":
            self.close_connection = True
            return True
        repository.recovered.wait(trouble.seconds or LONGEST_HANG_SECONDS)
        return False

    def _may_enter(self, login: tuple[str, str]) -> bool:
        expected = base64.b64encode(":".join(login).encode()).decode()
        return self.headers.get("Authorization", "") == f"Basic {expected}"

    def _run_backend(self, repository: Repository, service: str, query: str, body: bytes) -> None:
        environment = repository.environment() | {
            "GIT_PROJECT_ROOT": str(repository.directory),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": service,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_ADDR": self.client_address[0],
        }
        done = subprocess.run(["git", "http-backend"], env=environment, input=body, capture_output=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        status = int(headers.pop("Status", "200").split()[0])
        self._reply(status, headers, content)

    def _serve_lfs(self, repository: Repository, asked: str, body: bytes) -> None:
        """Answer as the batch API of Git LFS does: where each file is, and its content there."""
        if asked != "objects/batch":
            content = repository.lfs.get(asked)
            self._reply(200 if content is not None else 404, {"Content-Type": "application/octet-stream"}, content or b"")
            return
        wanted = [{**one, "actions": {"download": {"href": f"{repository.url}/info/lfs/{one['oid']}"}}} for one in json.loads(body)["objects"]]
        self._reply(200, {"Content-Type": "application/vnd.git-lfs+json"}, json.dumps({"transfer": "basic", "objects": wanted}).encode())

    def _reply(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
