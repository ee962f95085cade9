"""Registries of every kind, as they answer: who lets whom in how, what is there, what could not be asked."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from binderhub_service.clients.credentials import Credentials, Login
from binderhub_service.clients.oci import Blob
from binderhub_service.clients.registry import MANIFEST_TYPES, RegistryClient
from binderhub_service.clients.registry_writer import PushRefused, RegistryWriter
from binderhub_service.errors import Conflict, Unavailable
from binderhub_service.images.registry import RegistryImages
from binderhub_service.models import Image

DIGEST = "sha256:" + "a" * 64
V2 = {"Docker-Distribution-Api-Version": "registry/2.0"}
MANIFEST = {"config": {"digest": "sha256:c", "size": 10}, "layers": [{"size": 90}]}
CONFIG = {"created": "2026-03-01T12:00:00.5Z", "config": {"Labels": {"binder.environment": "key"}}}
Answer = Callable[[httpx.Request], httpx.Response]


class _Bytes(httpx.AsyncByteStream):
    """Bytes as they come from a connection."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("binderhub_service.clients.registry._RETRY_SECONDS", (0.0, 0.0))


def images(answer: Answer, prefix: str, *logins: Login, **more: Any) -> RegistryImages:
    """Return the images of a registry that `answer` stands for."""
    return RegistryImages(RegistryClient(Credentials(logins), transport=httpx.MockTransport(answer)), prefix, **more)


class Registry:
    """Answers as a registry with one image, and remembers what it was asked."""

    def __init__(self, *, let_in: Callable[[httpx.Request], httpx.Response | None] = lambda request: None, there: bool = True) -> None:
        self._let_in = let_in
        self.there = there
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        refused = self._let_in(request)
        if refused:
            return refused
        if "/blobs/" in request.url.path:
            return httpx.Response(200, json=CONFIG)
        if not self.there:
            return httpx.Response(404, headers=V2, json={"errors": [{"code": "MANIFEST_UNKNOWN"}]})
        return httpx.Response(200, headers={**V2, "Docker-Content-Digest": DIGEST}, json=MANIFEST)

    @property
    def lines(self) -> list[str]:
        """Return methods and addresses."""
        return [f"{request.method} {request.url}" for request in self.asked]


def basic(request: httpx.Request) -> tuple[str, str] | None:
    """Return the name and the password that a request comes with."""
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    if scheme != "Basic":
        return None
    name, _, password = base64.b64decode(rest).decode().partition(":")
    return name, password


def token_registry(
    challenge: str, token_answer: dict[str, Any], login: tuple[str, str] | None = None
) -> Callable[[httpx.Request], httpx.Response | None]:
    """Let in clients with the token ``good``, and give that to clients with `login`."""

    def let_in(request: httpx.Request) -> httpx.Response | None:
        if "token" in request.url.path or request.url.path.endswith(("/auth", "/jwt/auth", "/service/token")):
            return httpx.Response(200, json=token_answer) if basic(request) == login else httpx.Response(401, json={})
        if request.headers.get("authorization") != "Bearer good":
            return httpx.Response(401, headers={**V2, "WWW-Authenticate": challenge}, json={"errors": [{"code": "UNAUTHORIZED"}]})
        return None

    return let_in


# Challenges as the registries send them; the token servers answer with one of the two names for a token, or both.
KINDS = {
    "Docker Hub": (
        "docker.io/example/binder-",
        "GET https://auth.docker.io/token?service=registry.docker.io&scope=repository%3Aexample%2Fbinder-x%3Apull",
        'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:example/binder-x:pull"',
        {"token": "good", "access_token": "good", "expires_in": 300, "issued_at": "2026-03-01T12:00:00Z"},
        ("me", "pat"),
    ),
    "GitHub": (
        "ghcr.io/example/binder-",
        "GET https://ghcr.io/token?service=ghcr.io&scope=repository%3Aexample%2Fbinder-x%3Apull",
        'Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:example/binder-x:pull"',
        {"token": "good"},
        ("me", "ghp_x"),
    ),
    "Google": (
        "europe-west1-docker.pkg.dev/project/repo/binder-",
        "GET https://europe-west1-docker.pkg.dev/v2/token?service=europe-west1-docker.pkg.dev&scope=repository%3Aproject%2Frepo%2Fbinder-x%3Apull",
        'Bearer realm="https://europe-west1-docker.pkg.dev/v2/token",service="europe-west1-docker.pkg.dev",scope="repository:project/repo/binder-x:pull"',
        {"token": "good", "expires_in": 3600},
        ("_json_key", '{"type": "service_account", "private_key": "x:y"}'),
    ),
    "Quay": (
        "quay.io/example/binder-",
        "GET https://quay.io/v2/auth?service=quay.io&scope=repository%3Aexample%2Fbinder-x%3Apull",
        'Bearer realm="https://quay.io/v2/auth",service="quay.io",scope="repository:example/binder-x:pull"',
        {"token": "good"},
        ("example+robot", "x"),
    ),
    "Harbor": (
        "harbor.example.org/project/binder-",
        "GET https://harbor.example.org/service/token?service=harbor-registry&scope=repository%3Aproject%2Fbinder-x%3Apull",
        'Bearer realm="https://harbor.example.org/service/token",service="harbor-registry",scope="repository:project/binder-x:pull"',
        {"token": "good", "access_token": "", "expires_in": 1800},
        ("robot$hub", "x"),
    ),
    "GitLab": (
        "registry.gitlab.com/group/project/binder-",
        "GET https://gitlab.com/jwt/auth?service=container_registry&scope=repository%3Agroup%2Fproject%2Fbinder-x%3Apull",
        'Bearer realm="https://gitlab.com/jwt/auth",service="container_registry",scope="repository:group/project/binder-x:pull",error="invalid_token"',
        {"token": "good"},
        ("deploy", "glpat"),
    ),
    "Azure": (
        "example.azurecr.io/binder-",
        "GET https://example.azurecr.io/oauth2/token?service=example.azurecr.io&scope=repository%3Abinder-x%3Apull",
        'Bearer realm="https://example.azurecr.io/oauth2/token",service="example.azurecr.io",scope="repository:binder-x:pull"',
        {"access_token": "good"},
        ("app", "x"),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_registry_that_wants_a_token_gets_the_one_it_asked_for(kind: str) -> None:
    prefix, asks_token, challenge, answer, login = KINDS[kind]
    registry = Registry(let_in=token_registry(challenge, answer, login))
    host = prefix.partition("/")[0]
    made = images(registry, prefix, Login(host, *login), kept_seconds=0)
    assert await made.exists(f"{prefix}x:1") == Image(f"{prefix}x:1", "key", DIGEST)
    assert asks_token in registry.lines
    asked = len(registry.asked)
    await made.exists(f"{prefix}x:1")
    assert len(registry.asked) == asked + 1, "the token is good for another question, and the details are known"


@pytest.mark.parametrize("name", ["example.dkr.ecr.eu-west-1.amazonaws.com", "registry.example.org:5000"])
async def test_a_registry_that_wants_a_password_gets_it(name: str) -> None:
    def let_in(request: httpx.Request) -> httpx.Response | None:
        return None if basic(request) == ("AWS", "secret") else httpx.Response(401, headers={"WWW-Authenticate": f'Basic realm="https://{name}/"'})

    registry = Registry(let_in=let_in)
    assert await images(registry, f"{name}/binder-", Login(name, "AWS", "secret")).exists(f"{name}/binder-x:1")
    assert registry.lines[0] == f"HEAD https://{name}/v2/binder-x/manifests/1"


async def test_a_refresh_token_is_shown_as_one() -> None:
    def let_in(request: httpx.Request) -> httpx.Response | None:
        if request.url.path == "/oauth2/token":
            form = parse_qs(request.content.decode())
            assert request.method == "POST"
            assert form["grant_type"] == ["refresh_token"]
            return httpx.Response(200, json={"access_token": "good"} if form["refresh_token"] == ["long"] else {})
        good = request.headers.get("authorization") == "Bearer good"
        return None if good else httpx.Response(401, headers={"WWW-Authenticate": 'Bearer realm="https://r.azurecr.io/oauth2/token",service="r"'})

    assert await images(Registry(let_in=let_in), "r.azurecr.io/", Login("r.azurecr.io", identity_token="long")).exists("r.azurecr.io/x:1")


async def test_all_kinds_of_manifests_are_taken() -> None:
    registry = Registry()
    await images(registry, "localhost:5000/").exists("localhost:5000/x:1")
    assert registry.asked[0].headers["accept"] == ", ".join(MANIFEST_TYPES)
    assert registry.lines[0] == "HEAD http://localhost:5000/v2/x/manifests/1", "no TLS on loopback"


async def test_a_registry_that_nodes_know_by_another_name_is_asked_where_it_is() -> None:
    registry = Registry()
    endpoints = {"127.0.0.1:30500": "http://registry.registry.svc:5000"}
    client = RegistryClient(Credentials(), transport=httpx.MockTransport(registry), endpoints=endpoints)
    assert await RegistryImages(client, "127.0.0.1:30500/binder-").exists("127.0.0.1:30500/binder-x:1")
    assert registry.lines[0] == "HEAD http://registry.registry.svc:5000/v2/binder-x/manifests/1"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404, headers=V2),
        httpx.Response(404, json={"errors": [{"code": "NAME_UNKNOWN"}]}),
        httpx.Response(404, json={"errors": [{"code": "MANIFEST_UNKNOWN"}]}),
    ],
)
async def test_an_image_that_is_not_there_is_none(answer: httpx.Response) -> None:
    assert await images(lambda request: answer, "r.example/").exists("r.example/x:1") is None


@pytest.mark.parametrize(
    "answer",
    [httpx.Response(404, text="<h1>no such page</h1>"), httpx.Response(500), httpx.Response(503), httpx.Response(429), httpx.Response(418)],
)
async def test_what_says_nothing_is_never_not_there(answer: httpx.Response) -> None:
    with pytest.raises(Unavailable) as caught:
        await images(lambda request: answer, "r.example/").exists("r.example/x:1")
    assert caught.value.code == "registry_unavailable"


NONSENSE = [b"<html>sign in</html>", b"[]", b"null", b"\xff\xfe{", b"[" * 100_000]
SENSELESS_MANIFESTS = [
    {"config": "x"},
    {"config": {}},
    {"config": {"digest": "d"}, "layers": 5},
    {"config": {"digest": "d"}, "layers": [{"size": "x"}]},
    {"config": {"digest": "d"}, "layers": [{"size": float("inf")}]},
]


@pytest.mark.parametrize("content", [*NONSENSE, *(json.dumps(manifest).encode() for manifest in SENSELESS_MANIFESTS)])
async def test_a_manifest_that_makes_no_sense_is_unavailable(content: bytes) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={**V2, "Docker-Content-Digest": DIGEST}, content=content)

    with pytest.raises(Unavailable) as caught:
        await images(answer, "r.example/").exists("r.example/x:1")
    assert caught.value.code == "registry_unavailable"


@pytest.mark.parametrize("content", [*NONSENSE, b'{"config": [1]}', b'{"config": {"Labels": 3}}'])
async def test_a_configuration_that_makes_no_sense_is_unavailable(content: bytes) -> None:
    registry = Registry(let_in=lambda request: httpx.Response(200, content=content) if "/blobs/" in request.url.path else None)
    with pytest.raises(Unavailable):
        await images(registry, "r.example/").exists("r.example/x:1")


@pytest.mark.parametrize("content", [*NONSENSE, b'{"repositories": 5}', b'{"repositories": "r/x"}'])
async def test_a_list_that_makes_no_sense_is_unavailable(content: bytes) -> None:
    with pytest.raises(Unavailable):
        await images(lambda request: httpx.Response(200, content=content), "r.example/").all()


async def test_an_answer_without_an_end_is_given_up() -> None:
    sent = 0

    async def zeros() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 2**20
            yield bytes(2**20)

    with pytest.raises(Unavailable, match="more than 16 MiB"):
        await images(lambda request: httpx.Response(200, content=zeros()), "r.example/").all()
    assert sent <= 17 * 2**20


async def test_an_answer_that_swells_is_given_up_and_one_that_was_packed_is_read() -> None:
    for size, is_read in ((1000, True), (20 * 2**20, False)):
        packed = gzip.compress(json.dumps({"repositories": [], "more": "x" * size}).encode())
        registry = images(
            lambda request, packed=packed: httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=_Bytes(packed)), "r.example/"
        )
        if is_read:
            assert await registry.all() == []
        else:
            with pytest.raises(Unavailable, match="more than 16 MiB"):
                await registry.all()


async def test_a_list_that_leads_in_a_circle_is_given_up() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"Link": '</v2/_catalog?n=1000>; rel="next"'}, json={"repositories": ["x"]})

    with pytest.raises(Unavailable, match="circle"):
        await images(answer, "r.example/").all()


@pytest.mark.parametrize("listed", [[], ["x"]])
async def test_a_list_whose_next_page_is_always_another_one_is_given_up(listed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("binderhub_service.clients.registry_reader._MAX_PAGES", 50)
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, headers={"Link": f'</v2/_catalog?last={len(asked)}>; rel="next"'}, json={"repositories": listed})

    with pytest.raises(Unavailable, match="no end"):
        await images(answer, "r.example/").all()
    assert len(asked) == 50


async def test_a_list_of_more_names_than_there_can_be_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("binderhub_service.clients.registry_reader._MAX_NAMES", 100)
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, headers={"Link": f'</v2/_catalog?last={len(asked)}>; rel="next"'}, json={"repositories": ["x"] * 60})

    with pytest.raises(Unavailable, match="no end"):
        await images(answer, "r.example/").all()
    assert len(asked) == 2


@pytest.mark.parametrize("digest", ["x", "sha256:", "sha256:" + "g" * 64, "../" * 30])
async def test_a_digest_that_is_none_is_unavailable(digest: str) -> None:
    answer = httpx.Response(200, headers={**V2, "Docker-Content-Digest": digest}, json=MANIFEST)
    with pytest.raises(Unavailable, match="digest"):
        await images(lambda request: answer, "r.example/").exists("r.example/x:1")


@pytest.mark.parametrize("headers", [{}, {"Location": ""}, {"Location": "https://["}, {"Location": "\x7f"}])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_an_upload_that_goes_on_nowhere_is_refused_or_unavailable(headers: dict[str, str], method: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(202, headers=headers if request.method == method else {"Location": "/v2/x/blobs/uploads/1"})

    writer = RegistryWriter(RegistryClient(Credentials(), transport=httpx.MockTransport(answer)), "r.example/x:1")
    with pytest.raises((PushRefused, Unavailable)):
        await writer.put_bytes(Blob.of(b"x"), b"x")


@pytest.mark.parametrize("seconds", ["null", '"x"', "-5", "NaN", "Infinity", "1" + "0" * 400, "[]"])
async def test_how_long_a_token_lasts_may_be_said_in_any_way(seconds: str) -> None:
    def let_in(request: httpx.Request) -> httpx.Response | None:
        if request.url.host == "auth.example":
            return httpx.Response(200, content=f'{{"token": "t", "expires_in": {seconds}}}')
        is_known = "Authorization" in request.headers
        return None if is_known else httpx.Response(401, headers={"WWW-Authenticate": 'Bearer realm="https://auth.example/token"'})

    assert await images(Registry(let_in=let_in), "r.example/").exists("r.example/x:1")


async def test_what_is_kept_of_registries_is_bounded() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "auth.example":
            return httpx.Response(200, json={"token": "t", "expires_in": 3600})
        if "Authorization" not in request.headers:
            return httpx.Response(401, headers={"WWW-Authenticate": 'Bearer realm="https://auth.example/token"'})
        if "/blobs/" in request.url.path:
            return httpx.Response(200, json=CONFIG)
        return httpx.Response(200, headers={**V2, "Docker-Content-Digest": f"sha256:{abs(hash(request.url.path)):064x}"}, json=MANIFEST)

    found = images(answer, "r.example/", kept_seconds=60)
    for number in range(2100):
        assert await found.exists(f"r.example/x{number}:1")
    assert max(len(kept) for kept in (found._reader._client._proofs, found._there, found._reader._details)) <= 2000


@pytest.mark.parametrize("realm", ["https://[https://\x01", "https://r.example:port/token", "nowhere"])
async def test_a_token_server_whose_address_makes_no_sense_is_unavailable(realm: str) -> None:
    registry = Registry(let_in=lambda request: httpx.Response(401, headers={**V2, "WWW-Authenticate": f'Bearer realm="{realm}"'}, json={}))
    with pytest.raises(Unavailable):
        await images(registry, "r.example/").exists("r.example/x:1")


async def test_a_token_that_cannot_be_sent_is_unavailable() -> None:
    registry = Registry(let_in=token_registry('Bearer realm="https://r.example/token"', {"token": "t\u00f6ken\n"}))
    with pytest.raises(Unavailable):
        await images(registry, "r.example/").exists("r.example/x:1")


async def test_a_registry_that_is_away_is_asked_again_and_then_unavailable() -> None:
    asked = []

    def away(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        raise httpx.ConnectError("no route")

    with pytest.raises(Unavailable):
        await images(away, "r.example/").exists("r.example/x:1")
    assert len(asked) == 3


async def test_a_passing_problem_is_not_told_to_anybody() -> None:
    registry = Registry()
    troubles = [httpx.Response(502), httpx.Response(503)]

    def answer(request: httpx.Request) -> httpx.Response:
        return troubles.pop() if troubles else registry(request)

    assert await images(answer, "r.example/").exists("r.example/x:1")


@pytest.mark.parametrize("logins", [(), (Login("ghcr.io", "me", "wrong"),)])
async def test_a_refused_login_is_said_and_says_no_secret(logins: tuple[Login, ...]) -> None:
    _, _, challenge, answer, login = KINDS["GitHub"]
    with pytest.raises(Unavailable) as caught:
        await images(Registry(let_in=token_registry(challenge, answer, login)), "ghcr.io/example/binder-", *logins).exists(
            "ghcr.io/example/binder-x:1"
        )
    assert caught.value.code == "registry_login_failed"
    assert "wrong" not in caught.value.message


async def test_docker_hub_says_401_to_a_known_user_for_what_is_not_there() -> None:
    def hub(request: httpx.Request) -> httpx.Response:
        if request.url.host == "auth.docker.io":
            return httpx.Response(200, json={"token": "powerless"})
        challenge = 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:example/binder-x:pull"'
        return httpx.Response(401, headers={**V2, "WWW-Authenticate": challenge})

    assert await images(hub, "example/binder-", Login("docker.io", "me", "pat")).exists("example/binder-x:1") is None
    with pytest.raises(Unavailable):
        await images(hub, "example/binder-").exists("example/binder-x:1")


async def test_a_password_is_not_sent_in_the_clear_because_a_registry_says_so() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.scheme == "https"
        return httpx.Response(401, headers={"WWW-Authenticate": 'Bearer realm="http://elsewhere.example/token"'})

    with pytest.raises(Unavailable):
        await images(answer, "r.example/", Login("r.example", "me", "secret")).exists("r.example/x:1")


async def test_there_is_kept_for_a_while_and_not_there_never() -> None:
    registry = Registry()
    made = images(registry, "r.example/", kept_seconds=60)
    await made.exists("r.example/x:1")
    asked = len(registry.asked)
    await made.exists("r.example/x:1")
    assert len(registry.asked) == asked
    made.forget("r.example/x:1")
    registry.there = False
    assert await made.exists("r.example/x:1") is None
    registry.there = True
    assert await made.exists("r.example/x:1")


async def test_an_answer_older_than_what_made_it_wrong_is_not_kept() -> None:
    registry = Registry()
    made = images(registry, "r.example/")

    def changed_meanwhile(request: httpx.Request) -> httpx.Response | None:
        if "/blobs/" in request.url.path:
            made.forget("r.example/x:1")
        return None

    registry._let_in = changed_meanwhile
    assert await made.exists("r.example/x:1")
    registry.there = False
    assert await made.exists("r.example/x:1") is None


async def test_one_image_is_deleted_without_asking_about_any_other() -> None:
    registry = Registry()
    made = images(registry, "r.example/")
    assert await made.holds("r.example/x:1")
    await made.delete("r.example/x:1")
    assert {request.url.path.removeprefix("/v2/x/manifests/") for request in registry.asked} == {"1", DIGEST}


async def test_an_index_for_several_machines_is_an_image() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={**V2, "Docker-Content-Digest": DIGEST}, json={"manifests": [{"digest": "sha256:b"}]})

    assert await images(answer, "r.example/").exists("r.example/x:1") == Image("r.example/x:1", "", DIGEST)


async def test_a_registry_without_digests_in_headers_is_understood() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=V2, content=json.dumps({"manifests": []}).encode())

    image = await images(answer, "r.example/").exists("r.example/x:1")
    assert image
    assert image.digest.startswith("sha256:")


async def test_deleting_goes_by_digest() -> None:
    registry = Registry()
    await images(registry, "r.example/").delete("r.example/x:1")
    assert registry.lines == ["HEAD https://r.example/v2/x/manifests/1", f"DELETE https://r.example/v2/x/manifests/{DIGEST}"]


@pytest.mark.parametrize(("made", "gone"), [("2026-03-01T12:00:00Z", True), ("9999-01-01T00:00:00Z", False)])
async def test_what_a_killed_build_has_pushed_before_it_was_tried_goes_when_it_is_old(made: str, gone: bool) -> None:
    registry = Registry()

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/tags/list"):
            return httpx.Response(200, json={"tags": ["0123"]})
        answered = registry(request)
        return httpx.Response(200, json={**CONFIG, "created": made}) if "/blobs/" in request.url.path else answered

    await images(answer, "r.example/binder-").tidy([])
    assert (
        [line for line in registry.lines if line.startswith("DELETE")] == [f"DELETE https://r.example/v2/binder-unchecked/manifests/{DIGEST}"]
    ) is gone


async def test_a_registry_that_lists_nothing_stops_no_tidying() -> None:
    await images(lambda _: httpx.Response(403), "r.example/binder-").tidy([])


@pytest.mark.parametrize("answer", [httpx.Response(405), httpx.Response(400, json={"errors": [{"code": "UNSUPPORTED"}]})])
async def test_a_registry_that_deletes_nothing_is_said(answer: httpx.Response) -> None:
    registry = Registry()
    with pytest.raises(Conflict) as caught:
        await images(lambda request: answer if request.method == "DELETE" else registry(request), "r.example/").delete("r.example/x:1")
    assert caught.value.code == "registry_cannot_delete"


async def test_all_images_are_listed_page_by_page() -> None:
    registry = Registry()

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v2/_catalog":
            if "last" in request.url.params:
                return httpx.Response(200, json={"repositories": ["p/binder-b", "p/other"]})
            return httpx.Response(
                200, json={"repositories": ["p/binder-a", "p/binder-environment"]}, headers={"Link": '</v2/_catalog?n=2&last=x>; rel="next"'}
            )
        if request.url.path.endswith("/tags/list"):
            return httpx.Response(200, json={"tags": ["1"]})
        return registry(request)

    stored = await images(answer, "r.example/p/binder-").all()
    assert {image.name for image in stored} == {"r.example/p/binder-a:1", "r.example/p/binder-b:1"}
    assert {image.bytes for image in stored} == {100}
