"""Hostile specs, queries and headers against the service: no 500, no request where it must not go, nothing that a browser takes for markup."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from email.parser import BytesParser
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from binderhub_service.builds.builds import Builds
from binderhub_service.builds.limits import BuildLimits
from binderhub_service.handlers.application import make_application
from binderhub_service.launches.launches import Launches
from binderhub_service.models import Image
from binderhub_service.process.receiving import ServerLimits
from binderhub_service.process.server import BoundedServer
from binderhub_service.providers import shipped_providers
from binderhub_service.providers.ls_remote import LsRemote
from tests.handlers.test_api import PREFIX, SECRET, Service, hub_auth, service
from tests.harness.ports import free_ports
from tests.harness.waiting import within

__all__ = ["hub_auth", "service"]  # fixtures

FORMS = {
    "an option": "--upload-pack=touch pwned",
    "a short option": "-oProxyCommand=touch pwned",
    "an option in an scp address": "git@host.example:--upload-pack=touch pwned",
    "an option as a host": "ssh://-oProxyCommand=touch%20pwned/x",
    "a shell": "$(touch pwned)`touch pwned`;touch pwned|touch pwned&touch pwned",
    "a remote helper": "ext::sh -c 'touch pwned'",
    "a file": "file:///etc/passwd",
    "a bare path": "/etc/passwd",
    "a format": "{0.__class__.__mro__}{foo}%s%n%(name)s",
    "a template": "{{ 7*7 }}{% for x in y %}${7*7}#{7*7}",
    "a path": "../../../../etc/passwd",
    "an escaped path": "..%2f..%2f..%2fetc%2fpasswd",
    "a doubly escaped path": "%252e%252e%252f%252e%252e",
    "dots": "....//....//",
    "a header": "x%0d%0aX-Injected: yes%0d%0a%0d%0a<script>alert(1)</script>",
    "a line feed": "x%0aX-Injected: yes",
    "an event": "x%0a%0adata: {%22phase%22: %22ready%22}",
    "a line separator": "x%e2%80%a8y%c2%85z",
    "a null": "x%00y",
    "no UTF-8": "%ff%fe%fd",
    "an overlong slash": "%c0%af%c0%af",
    "half a character": "%ed%a0%80",
    "broken escapes": "%%%zz%u0041%",
    "a script": "<script>alert(1)</script>",
    "an attribute": "\"'><img src=x onerror=alert(1)>",
    "a comment": "--><!--<svg/onload=alert(1)>",
    "an end of a script": "</script><script>alert(1)</script>",
    "a link": "javascript:alert(1)",
    "data": "data:text/html,<script>alert(1)</script>",
    "another site": "//evil.example/x",
    "a backslash": "\\\\evil.example\\x",
    "a credential": "https://user:hunter2@git.example.org/o/r",
    "a query in it": "https://git.example.org/o/r?x=<b>#y",
    "a bad port": "https://git.example.org:99999999/o/r",
    "a bad host": "http://[::1/o/r",
    "a reflog": "main@{1}^{/x}",
    "a range": "main..other",
    "a lock": "a.lock/.b",
    "SQL": "' OR 1=1; DROP TABLE builds; --",
    "a direction": "a%e2%80%aeb",
    "a number": "99999999999999999999999999999999999999",
    "much": "x" * 9000,
    "deep": "/".join("a" * 2000),
}
REPO = quote("https://git.example.org/o/r", safe="")
# An address for each place that a client's text may be at; `raw` keeps slashes, `one` is a single part of a path.
PLACES: dict[str, Callable[[str, str], str]] = {
    "the repository of a build": lambda raw, one: f"build/git/{one}/main",
    "the ref of a build": lambda raw, one: f"build/git/{REPO}/{raw}",
    "the owner of a build": lambda raw, one: f"build/gh/{one}/{raw}/main",
    "a group of a build": lambda raw, one: f"build/gl/{one}/{one}",
    "a gist of a build": lambda raw, one: f"build/gist/o/{one}",
    "the provider of a build": lambda raw, one: f"build/{one}/o/r/main",
    "the query of a build": lambda raw, one: f"build/git/{REPO}/main?build_only={one}&build_token={one}&{one}={one}",
    "the repository of a link": lambda raw, one: f"v2/git/{one}/main",
    "the ref of a link": lambda raw, one: f"v2/gh/o/r/{raw}",
    "the provider of a link": lambda raw, one: f"v2/{one}/o/r",
    "what a link opens": lambda raw, one: f"v2/gh/o/r/main?urlpath={one}&labpath={one}&filepath={one}",
    "an old link": lambda raw, one: f"repo/{one}/{one}/{raw}",
    "the front page": lambda raw, one: f"?provider=git&repo={one}&ref={one}&kind={one}&path={one}",
    "the front page's provider": lambda raw, one: f"?provider={one}&repo=o/r",
    "the list": lambda raw, one: f"builds?show={one}&state={one}&before={one}",
    "a build's page": lambda raw, one: f"builds/{one}",
    "the API": lambda raw, one: f"api/builds?repo={one}&owner={one}&limit={one}&before={one}",
    "a build's log": lambda raw, one: f"api/builds/{one}/log?plain={one}",
    "a static file": lambda raw, one: f"static/{raw}",
    "an unknown page": lambda raw, one: raw,
}
HEADERS = ["Accept", "Last-Event-ID", "Origin", "Host", "X-Forwarded-For", "X-Forwarded-Proto", "X-Scheme"]
HEADERS += ["Referer", "Cookie", "X-Xsrftoken", "User-Agent"]
SEPARATORS = re.compile(rb"%0[ad]|[\r\n]", re.IGNORECASE)


class Markup(HTMLParser):
    """What a browser would run or follow of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.problems: list[str] = []
        self._in_script = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self._in_script = tag == "script"
        self.problems += [f"{tag} {name}" for name in values if name.startswith("on")]
        self.problems += [
            f"{tag} {name}={value}"
            for name, value in values.items()
            if name in {"href", "src", "action", "formaction"}
            and (value.strip().lower().startswith(("javascript:", "data:")) or (tag != "a" and "evil.example" in urlsplit(value).netloc))
        ]
        self.problems += [tag] if tag in {"svg", "iframe", "object", "embed", "base"} or (tag, values.get("src")) == ("img", "x") else []

    def handle_endtag(self, tag: str) -> None:
        self._in_script = self._in_script and tag != "script"

    def handle_data(self, data: str) -> None:
        if self._in_script and data.strip().startswith("alert"):
            self.problems.append(f"script {data.strip()}")


@dataclass
class Target:
    """The service, and what it asked of others."""

    port: int
    git_calls: Path
    looked_up: set[str]

    async def send(self, target: bytes, headers: dict[str, bytes]) -> tuple[int, Any, bytes]:
        """Send a GET request as it is; return status, headers and body, with status 0 for a connection that was closed without an answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        everything = {
            "Host": b"127.0.0.1",
            "Authorization": b"token token-of-alice",
            "Accept": b"text/event-stream",
            **headers,
            "Connection": b"close",
        }
        lines = b"".join(name.encode() + b": " + value + b"\r\n" for name, value in everything.items())
        try:
            writer.write(b"GET " + target + b" HTTP/1.0\r\n" + lines + b"\r\n")
            async with within():
                answer = await reader.read()
        except ConnectionError:
            answer = b""
        finally:
            writer.close()
        if not answer:
            return 0, {}, b""
        head, _, body = answer.partition(b"\r\n\r\n")
        status, _, fields = head.partition(b"\r\n")
        return int(status.split()[1]), BytesParser().parsebytes(fields), body


FAKE_GIT = """#!/bin/sh
for argument in "$@"; do printf '%s\\0' "$argument"; done >> {calls}; printf '\\n\\0' >> {calls}
printf '1111111111111111111111111111111111111111\\tHEAD\\n1111111111111111111111111111111111111111\\trefs/heads/main\\n'
"""


@pytest.fixture
async def target(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Target]:
    """The service with all its providers; git only notes how it was called, and no name but the service's own has an address."""
    calls, looked_up = tmp_path / "calls", set[str]()
    calls.touch()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").write_text(FAKE_GIT.format(calls=calls))
    (tmp_path / "bin" / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    monkeypatch.chdir(tmp_path)
    getaddrinfo = socket.getaddrinfo

    def look_up(host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> Any:
        if host != "127.0.0.1" and not flags & socket.AI_NUMERICHOST:  # with which nobody is asked
            looked_up.add(host.decode() if isinstance(host, bytes) else host)
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        return getaddrinfo(host, port, family, type, proto, flags)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    git = LsRemote(timeout_seconds=5)
    providers = [cls(git) for cls in shipped_providers().values()]
    service.builder.made = lambda build: service.images.there.update({build.image.name: Image(build.image.name, "key")})
    builds = Builds(store=service.store, providers=providers, images=service.images, builder=service.builder, limits=BuildLimits(running=4))
    launches = Launches(service.hub.api_url, "/hub/", providers)
    context = replace(service.context, builds=builds, providers=providers, launches=launches)
    listener = BoundedServer(PREFIX, ServerLimits())
    listener.application = make_application(context, SECRET)
    [port] = free_ports(1)
    server = await listener.listen("127.0.0.1", port)
    yield Target(port, calls, looked_up)
    server.stop()
    await server.close_all_connections()
    await builds.close()


def problems_of(status: int, headers: Any, body: bytes) -> list[str]:
    """Return what is wrong with an answer."""
    kind = (headers.get("Content-Type") or "").partition(";")[0]
    problems = [f"status {status}"] if status >= 500 and status != 503 else []
    problems += ["a header of the client's"] if "X-Injected" in headers else []
    problems += ["another site"] if re.match(r"(?:https?:)?[/\\]{2,}", headers.get("Location") or "") else []
    problems += ["a credential"] if b"hunter2" in body else []
    problems += ["a file of the machine's"] if b"root:x:0:0" in body else []
    problems += ["an evaluated template"] if b"49}" in body or b"type 'object'" in body else []
    if kind == "text/html":
        return problems + Markup(body.decode()).problems
    if kind == "text/event-stream":
        lines = [line for line in re.split(r"\r\n|\r|\n", body.decode()) if line]
        events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
        problems += [f"the line {line[:40]!r}" for line in lines if not re.match(r"data: \{|id: |:", line)]
        problems += [f"an event with 500: {event}" for event in events if event.get("status_code") == 500 and "internal" in event["message"]]
        return problems + [f"the end {event}" for event in events[-1:] if event["phase"] not in {"ready", "failed"}]
    if body and headers.get("X-Content-Type-Options") != "nosniff":
        problems.append(f"{kind} that may be taken for something else")
    return problems


def check_calls(target: Target, folder: Path) -> None:
    """Check that git was asked about addresses of the web only, as a plain argument, and nobody else was asked."""
    calls = [call.strip("\0").split("\0") for call in target.git_calls.read_text(errors="surrogateescape").split("\n\0") if call.strip("\0")]
    assert calls, "git was asked for some of them"
    for call in calls:
        url, *refs = call[call.index("--end-of-options") + 1 :]
        assert urlsplit(url).scheme in {"http", "https", "ssh", "git"}, call
        assert not (urlsplit(url).hostname or "-").startswith("-"), call
        assert not [ref for ref in refs if not re.fullmatch(r"HEAD|refs/\S+", ref)], call
        assert "hunter2" not in " ".join(call)
    assert not (folder / "pwned").exists()
    assert target.looked_up <= {"api.github.com", "gitlab.com"}, "only the forges' own APIs are asked without git"


async def test_hostile_requests_do_no_harm(target: Target, tmp_path: Path) -> None:
    wrong: dict[str, list[str]] = {}
    statuses: Counter[int] = Counter()
    for form, text in FORMS.items():
        raw = quote(text, safe="/%:;@&=+$,~*'()!").encode().decode()
        one = quote(text, safe="%")
        for place, address_of in PLACES.items():
            answer = await target.send(f"{PREFIX}{address_of(raw, one)}".encode(), {"Accept": b"text/html,text/event-stream"})
            statuses[answer[0]] += 1
            if problems := problems_of(*answer):
                wrong[f"{form} as {place}"] = problems
        for name in HEADERS:
            value = text.encode()
            path = f"{PREFIX}build/git/{REPO}/main" if name in {"Accept", "Last-Event-ID", "Origin", "X-Forwarded-For"} else f"{PREFIX}v2/gh/o/r/main"
            answer = await target.send(path.encode(), {name: SEPARATORS.sub(b"", value)})
            statuses[answer[0]] += 1
            if problems := problems_of(*answer):
                wrong[f"{form} as the header {name}"] = problems
    assert sum(statuses.values()) >= 200
    assert {200, 400, 404} <= set(statuses), "some get far, others do not"
    assert not wrong, "\n".join(f"{what}: {problems}" for what, problems in wrong.items())
    check_calls(target, tmp_path)
    status, _, body = await target.send(f"{PREFIX}versions".encode(), {})
    assert (status, json.loads(body)["builder_info"]) == (200, {"mode": "embedded"})


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html", b"<p><script>alert(1)</script>"),
        ("text/html", b"<p title=''><img src=x onerror=alert(1)>"),
        ("text/html", b"<a href=' JavaScript:alert(1)'>"),
        ("text/event-stream", b'data: {"phase": "failed", "message": "x"}\n\nX: y\n\n'),
        ("text/event-stream", b'data: {"phase": "building", "message": "x"}\n\n'),
        ("application/json", b"{}"),
        ("text/plain", b"root:x:0:0:root"),
    ],
)
def test_harm_would_be_found(kind: str, body: bytes) -> None:
    assert problems_of(200, {"Content-Type": kind}, body)


@pytest.mark.parametrize(
    "request_line",
    [
        b"\xff\xfe\x00",
        b"/services/binder/v2/gh/\xff/\xfe",
        b"/services/binder/build/git/\xe4\xf6/main",
        b"//evil.example/x",
        b"http://evil.example/x",
    ],
)
async def test_an_address_that_is_no_text_at_all_does_no_harm(target: Target, request_line: bytes) -> None:
    assert problems_of(*await target.send(request_line, {})) == []
