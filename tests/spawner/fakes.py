"""A build service that a test drives by hand, over real HTTP, and a real hub in the test's own process, without its proxy."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from jupyterhub import orm
from jupyterhub.app import JupyterHub
from jupyterhub.auth import Authenticator
from jupyterhub.proxy import Proxy
from jupyterhub.roles import assign_default_roles
from jupyterhub.utils import random_port
from tornado import web
from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_sockets
from traitlets.config import Config

from tests.harness.foreign_clients import close_hub_client
from tests.harness.waiting import within

REPO = "https://github.com/o/r"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
PREFIX = "/services/binder/"

# --- the service -----------------------------------------------------------------------------------------------------


class FakeBuild:
    """A build whose event log the test tells."""

    def __init__(self, number: int, repo: str, ref: str) -> None:
        self.id = f"b{number}"
        self.repo, self.ref = repo, ref
        self.state, self.image, self.error = "queued", "img", None
        self.commit = COMMIT
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.changed = asyncio.Event()

    def tell(self, kind: str, **data: Any) -> None:
        self.events.append((kind, data))
        self.changed.set()
        self.changed = asyncio.Event()

    def log(self, text: str) -> None:
        self.tell("log", text=text)

    def phase(self, phase: str, message: str) -> None:
        self.state = "running"
        self.tell("phase", phase=phase, message=message, time="2026-01-01T00:00:00.000Z")

    def end(self, state: str, error: dict[str, Any] | None = None) -> None:
        self.state, self.error = state, error
        self.tell("end", state=state, image=self.image if state == "ready" else None, environment=None, error=error, time="2026-01-01T00:00:00.000Z")

    def ready(self, image: str = "img") -> None:
        self.image = image
        self.end("ready")

    def fail(self, message: str = "The requirement nope does not exist.", hint: str = "Check its spelling.") -> None:
        self.end("failed", {"code": "build_failed", "message": message, "hint": hint})

    @property
    def ended(self) -> bool:
        return bool(self.events) and self.events[-1][0] == "end"

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "provider": "git",
            "repo": self.repo,
            "ref": self.ref,
            "commit": self.commit,
            "image": self.image,
            "state": self.state,
            "error": self.error,
            "last_event": len(self.events),
        }


class FakeService:
    """The wire of the service, told what to do by the test.

    Attributes:
        on_ask: called with every new build.
        builds: all builds, oldest first.
        asks: every ask's headers and body.
        resumes: the `Last-Event-ID` of every connection that followed an event log, 0 if it had none.
        withdrawn: ids of the builds that a requester did not need any more.
        refusal: status, body and headers to answer asks with, instead of a build.
        notices: what it tells everybody.
        drops: after which events to cut the connection, each once.
        keep_alives: whether the event log has comments in it.
        forgets_resumes: whether every connection hears the event log from its first event on.
        prepared: the prepared environments.
        only_prepared: whether nothing else may be used.
    """

    def __init__(self, port: int = 0, server: HTTPServer | None = None) -> None:
        self.on_ask: Callable[[FakeBuild], None] = lambda build: None
        self.builds: list[FakeBuild] = []
        self.asks: list[tuple[Mapping[str, str], dict[str, Any]]] = []
        self.resumes: list[int] = []
        self.withdrawn: list[str] = []
        self.refusal: tuple[int, object, dict[str, str]] | None = None
        self.notices: list[str] = []
        self.drops: list[int] = []
        self.keep_alives = False
        self.forgets_resumes = False
        self.prepared: list[dict[str, Any]] = []
        self.only_prepared = False
        self.slow_asks = asyncio.Event()
        self.slow_asks.set()
        self.port = port
        self._server = server

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{PREFIX}"

    def reset(self) -> None:
        """Forget everything but the port."""
        self.__init__(self.port, self._server)  # type: ignore[misc]  # all there is to forget is set there

    async def begin_anew(self) -> None:
        """Be as new, at the same port."""
        await self.stop()
        self.reset()
        await self.start()

    async def start(self) -> None:
        """Listen, on the port of the last time if there was one."""
        api = PREFIX + "api/"
        more = {"service": self}
        routes = [
            (api + "addresses", _Addresses, more),
            (api + "prepared", _Prepared, more),
            (api + "prepared/([^/]+)", _Prepared, more),
            (api + "builds", _Asks, more),
            (api + "builds/([^/]+)/events", _Events, more),
            (api + "builds/([^/]+)/ask", _Ask, more),
        ]
        routes += [(PREFIX + "health", _Health, more), (api + "notices", _Notices, more)]
        sockets = bind_sockets(self.port, "127.0.0.1", reuse_port=False)
        self.port = sockets[0].getsockname()[1]
        self._server = HTTPServer(web.Application(routes))
        self._server.add_sockets(sockets)

    async def stop(self) -> None:
        """Stop listening and cut all connections."""
        if self._server is not None:
            self._server.stop()
            await self._server.close_all_connections()
            self._server = None

    def find(self, build_id: str) -> FakeBuild:
        for build in self.builds:
            if build.id == build_id:
                return build
        raise web.HTTPError(404)

    def build_of(self, repo: str, ref: str) -> FakeBuild:
        """Return the build of this ask; equal asks join a build that has not failed."""
        for build in self.builds:
            if (build.repo, build.ref) == (repo, ref) and build.state in {"queued", "running", "ready"}:
                return build
        build = FakeBuild(len(self.builds) + 1, repo, ref)
        self.builds.append(build)
        self.on_ask(build)
        return build


class _Handler(web.RequestHandler):
    def initialize(self, service: FakeService) -> None:
        self.service = service

    def check_etag_header(self) -> bool:
        return False

    def log_exception(self, *_: object) -> None:
        pass


class _Asks(_Handler):
    async def post(self) -> None:
        body = json.loads(self.request.body)
        self.service.asks.append((dict(self.request.headers), body))
        if self.service.refusal:
            status, answer, headers = self.service.refusal
            self.set_status(status)
            for name, value in headers.items():
                self.set_header(name, value)
            self.finish(answer if isinstance(answer, str) else json.dumps(answer))
            return
        build = self.service.build_of(body["repo"], body.get("ref", "HEAD"))
        await self.service.slow_asks.wait()
        self.set_status(201)
        self.finish(json.dumps(build.as_dict()))


class _Addresses(_Handler):
    """Knows that the branch of every page's address is called ``feature/x``."""

    def post(self) -> None:
        pasted = json.loads(self.request.body)
        repo, _, rest = pasted["repo"].partition("/blob/feature/x/")
        if not rest:
            self.set_status(404)
            self.finish({"error": {"code": "ref_not_found", "message": f"The repository {repo} has no such branch.", "hint": None}})
            return
        self.finish({"repo": repo, "ref": "feature/x", "path": pasted["path"] or rest})


class _Notices(_Handler):
    def get(self) -> None:
        self.finish({"notices": self.service.notices})


class _Prepared(_Handler):
    def get(self, name: str = "") -> None:
        environments = self.service.prepared
        if name:
            self.finish(next(one for one in environments if one["name"] == name))
        else:
            self.finish({"only": self.service.only_prepared, "environments": environments})


class _Health(_Handler):
    def get(self) -> None:
        self.finish("{}")


class _Ask(_Handler):
    def delete(self, build_id: str) -> None:
        build = self.service.find(build_id)
        self.service.withdrawn.append(build_id)
        self.finish(json.dumps(build.as_dict()))


class _Events(_Handler):
    async def get(self, build_id: str) -> None:
        build = self.service.find(build_id)
        position = int(self.request.headers.get("Last-Event-ID", "0"))
        self.service.resumes.append(position)
        self.set_header("Content-Type", "text/event-stream")
        try:
            if self.service.keep_alives:
                self.write(": here\n\n")
            await self.flush()
            await self._tell(build, 0 if self.service.forgets_resumes else position)
        except StreamClosedError:
            pass

    async def _tell(self, build: FakeBuild, position: int) -> None:
        while True:
            changed = build.changed
            for number, (kind, data) in enumerate(build.events[position:], position + 1):
                # Not escaped, as other services may: the line separator U+2028 is no end of a line here.
                self.write(f"id: {number}\nevent: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n")
                if self.service.keep_alives:
                    self.write(": still here\n\n")
                await self.flush()
                if number in self.service.drops:
                    self.service.drops.remove(number)
                    self.request.connection.stream.close()  # type: ignore[attr-defined]  # HTTP/1 has one
                    return
            position = len(build.events)
            if build.ended:
                return
            await changed.wait()


# --- the hub ---------------------------------------------------------------------------------------------------------


class NoProxy(Proxy):
    """Routes that nobody takes: tests talk to the hub's own port."""

    should_start = False

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.routes: dict[str, Any] = {}

    async def add_route(self, routespec: str, target: str, data: Any) -> None:
        self.routes[routespec] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec: str) -> None:
        self.routes.pop(routespec, None)

    async def get_all_routes(self) -> dict[str, Any]:
        return self.routes


class AnybodyAuthenticator(Authenticator):
    """Everybody is who they say."""

    async def authenticate(self, handler: Any, data: dict[str, str]) -> str:
        return data["username"]


class Hub:
    """A real hub with people in it.

    Attributes:
        app: the hub itself.
        url: where its pages are, e.g. ``http://127.0.0.1:1234/hub/``.
    """

    def __init__(self, app: JupyterHub) -> None:
        self.app = app
        self.url = f"http://127.0.0.1:{app.hub_port}/hub/"

    def user(self, name: str) -> Any:
        return self.app.users[name]

    def tokens(self, name: str) -> list[str]:
        """Return the notes of the user's API tokens."""
        return [token.note for token in self.user(name).orm_user.api_tokens]

    def add(self, name: str) -> Any:
        """Add a person with the role that everybody has, and return the hub's user."""
        user = orm.User(name=name)
        self.app.db.add(user)
        self.app.db.commit()
        assign_default_roles(self.app.db, user)
        return self.user(name)

    async def clear(self) -> None:
        """Stop all servers and starts, and take everybody out."""
        for stored in list(self.app.db.query(orm.User)):
            user = self.app.users[stored]
            for name, spawner in list(user.spawners.items()):
                if spawner._spawn_future and not spawner._spawn_future.done():
                    spawner._spawn_future.cancel()
                    await asyncio.wait([spawner._spawn_future])
                if spawner.active:
                    await user.stop(name)
            self.app.users.delete(user)
        self.app.tornado_application.settings.update(failure_count=0, slow_spawn_timeout=0)

    @asynccontextmanager
    async def browser(self, name: str) -> AsyncIterator[httpx.AsyncClient]:
        """Give a browser in which the person is signed in; forms need ``params={"_xsrf": browser.cookies["_xsrf"]}``."""
        async with httpx.AsyncClient(base_url=self.url, timeout=60) as browser:
            await browser.get("login")
            answer = await browser.post("login", params=xsrf(browser), data={"username": name, "password": "x"})
            assert answer.status_code == 302, answer.text
            await browser.get("home")
            yield browser

    @asynccontextmanager
    async def api(self, name: str) -> AsyncIterator[httpx.AsyncClient]:
        """Give a client of the hub's REST API for the person."""
        token = self.user(name).new_api_token(note="test")
        async with httpx.AsyncClient(base_url=self.url + "api/", headers={"Authorization": f"token {token}"}, timeout=60) as client:
            yield client


def xsrf(browser: httpx.AsyncClient) -> dict[str, str]:
    """Return the argument that proves to the hub that a form is its own."""
    cookies = [cookie for cookie in browser.cookies.jar if cookie.name == "_xsrf"]
    return {"_xsrf": str(cookies[-1].value)}


@asynccontextmanager
async def running_hub(folder: Path, spawner_class: type, settings: Mapping[str, Mapping[str, Any]] | None = None) -> AsyncIterator[Hub]:
    """Run a hub, with `settings` by class on top of what a test needs in any case."""
    config = Config()
    config.JupyterHub.spawner_class = spawner_class
    config.JupyterHub.authenticator_class = AnybodyAuthenticator
    config.JupyterHub.proxy_class = NoProxy
    config.JupyterHub.db_url = f"sqlite:///{folder / 'hub.sqlite'}"
    config.JupyterHub.cookie_secret = b"0" * 32
    config.JupyterHub.hub_port = random_port()
    config.JupyterHub.port = random_port()
    config.JupyterHub.cleanup_servers = True
    config.JupyterHub.allow_named_servers = True
    config.JupyterHub.log_level = 30
    config.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0, "slow_stop_timeout": 5}
    config.JupyterHub.custom_scopes = {"custom:binder:build": {"description": "Build."}}
    config.JupyterHub.load_roles = [{"name": "user", "scopes": ["self", "access:services!service=binder", "custom:binder:build"]}]
    config.Authenticator.allow_all = True
    for name, values in (settings or {}).items():
        config[name].update(values)
    (folder / "empty.py").write_text("")
    JupyterHub.clear_instance()
    app = JupyterHub(config=config)
    await app.initialize(["-f", str(folder / "empty.py")])
    await app.start()
    try:
        yield Hub(app)
    finally:
        await app.cleanup()
        app.http_server.stop()
        await close_hub_client()
        JupyterHub.clear_instance()


# --- a server --------------------------------------------------------------------------------------------------------

SINGLEUSER = '''#!{python}
"""Answers everything with its own environment, as JSON."""
import http.server, json, os, signal, sys, urllib.parse
{at_once}
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        told = {{"environment": dict(os.environ), "cwd": os.getcwd(), "arguments": sys.argv, "pid": os.getpid()}}
        self.wfile.write(json.dumps(told).encode())
    def log_message(self, *_):
        pass
signal.signal(signal.SIGINT, lambda *_: sys.exit())
url = urllib.parse.urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
http.server.HTTPServer((url.hostname, url.port), Handler).serve_forever()
'''


def make_environment(folder: Path) -> Path:
    """Make what looks like an environment: its server answers everything with how it was started."""
    program = folder / "bin" / "jupyterhub-singleuser"
    program.parent.mkdir(parents=True)
    program.write_text(SINGLEUSER.format(python=f"{sys.executable} -I", at_once=""))
    program.chmod(0o755)
    return folder


def make_image(images_dir: Path, name: str, environment: Path, content: Path, commit: str, start: str | None = None) -> None:
    """Make an image of this environment and this checkout."""
    manifest = {"environment": str(environment), "content": str(content), "commit": commit, "start": start, "repo": REPO, "ref": "HEAD"}
    folder = images_dir / name
    folder.mkdir(parents=True)
    (folder / "image.json").write_text(json.dumps(manifest))


async def ask_server(url: str) -> dict[str, Any]:
    """Return how the server behind `url` was started, once it answers."""
    parts = urlsplit(url)
    async with httpx.AsyncClient(base_url=f"{parts.scheme}://{parts.netloc}", trust_env=False) as client, within():
        while True:
            try:
                told: dict[str, Any] = (await client.get("/api")).json()
            except httpx.TransportError:
                await asyncio.sleep(0.05)
            else:
                return told
