"""binder-registry's contract, route by route, on a real hub."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from tests.harness.hub import HubProcess
from tests.legacy.conftest import KEY, Api

JSON = "application/json; charset=UTF-8"
TOKEN = f"token {KEY}"
NOT_SET = "Authorization header not set. Should be of format 'Authorization: token key'"
NOT_PRESENT = "Token field not present in Authorization header. Should be of format 'Authorization: token key'"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d*[1-9])?Z")


@pytest.fixture(scope="module", params=["path", "port", "command"])
def registry(request: pytest.FixtureRequest, legacy_hub: HubProcess, ports: dict[str, int], port_beside: int) -> Api:
    return Api(legacy_hub, "registry", {"path": 0, "port": ports["registry"], "command": port_beside}[request.param])


@pytest.fixture
def name() -> str:
    return f"template-{uuid4().hex}"


def added(registry: Api, name: str, **more: Any) -> dict[str, Any]:
    reply = registry.ask("POST", "/templates", TOKEN, json={"name": name, "image-name": "an/image"} | more)
    assert reply.status_code == 201, reply.text
    template: dict[str, Any] = reply.json()
    return template


def test_the_registry_says_that_it_lives(registry: Api) -> None:
    reply = registry.ask("GET", "/")
    assert (reply.status_code, reply.headers["Content-Type"], reply.text) == (200, JSON, '{"status": "Binder Registry Live!"}\n')


def test_a_new_template_has_its_fields_in_order_and_equal_times(registry: Api, name: str) -> None:
    reply = registry.ask("POST", "/templates", TOKEN, json={"name": name, "image-name": "a<b>&c"})
    template = reply.json()
    assert (reply.status_code, reply.headers["Content-Type"]) == (201, JSON)
    assert list(template) == ["name", "image-name", "command", "limits", "time-created", "time-modified"]
    assert template == template | {"name": name, "image-name": "a<b>&c", "command": "", "limits": {}}
    assert "a\\u003cb\\u003e\\u0026c" in reply.text
    assert reply.text.endswith("}\n")
    assert TIME.fullmatch(template["time-created"])
    assert template["time-created"] == template["time-modified"]
    assert registry.ask("GET", f"/templates/{name}").json() == template
    assert template in registry.ask("GET", "/templates").json()


def test_a_template_keeps_what_its_client_says(registry: Api, name: str) -> None:
    more = {"command": "run me", "limits": {"memory": 2**40, "cpu_shares": 0, "x": 1}, "redirect-uri": "/x", "container-ip": "10.0.0.1"}
    template = added(registry, name, **more, **{"bind-port": 8888, "time-created": "2001-01-01T00:00:00Z", "unknown": []})
    assert list(template)[-3:] == ["redirect-uri", "container-ip", "bind-port"]
    assert template["limits"] == {"memory": 2**40}
    assert template["bind-port"] == 8888
    assert not template["time-created"].startswith("2001")


def test_keys_count_in_any_case_and_nulls_and_the_content_type_do_not(registry: Api, name: str) -> None:
    body = f'{{"NAME": "{name}", "Image-Name": "i", "command": null, "limits": null}}'
    reply = registry.ask("POST", "/templates", TOKEN, content=body, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert (reply.status_code, reply.json()["name"]) == (201, name)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (None, NOT_SET),
        ("", NOT_PRESENT),
        ("token", NOT_PRESENT),
        ("bare-key", NOT_PRESENT),
        ("Bearer key", NOT_PRESENT),
        ("api-key key", NOT_PRESENT),
        ("token two words", NOT_PRESENT),
        ("token  key", NOT_PRESENT),
        ("token wrong", "Invalid token"),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/templates"), ("PUT", "/templates/nobody")])
def test_changes_take_a_key_before_the_body_is_read(registry: Api, method: str, path: str, header: str | None, message: str) -> None:
    reply = registry.ask(method, path, header, content=b"no json")
    assert (reply.status_code, reply.headers["Content-Type"], reply.json()) == (401, JSON, {"message": message})


@pytest.mark.parametrize("word", ["token", "Token", "TOKEN"])
def test_a_persons_hub_token_is_a_key(registry: Api, legacy_hub: HubProcess, name: str, word: str) -> None:
    token = legacy_hub.token("alice")
    assert registry.ask("POST", "/templates", f"{word} {token}", json={"name": name, "image-name": "i"}).status_code == 201


def test_a_token_without_the_scope_to_build_is_no_key(registry: Api, legacy_hub: HubProcess, name: str) -> None:
    token = legacy_hub.token("alice", ["access:services!service=binder"])
    reply = registry.ask("POST", "/templates", f"token {token}", json={"name": name, "image-name": "i"})
    assert (reply.status_code, reply.json()) == (401, {"message": "Invalid token"})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b'{"name": "a", "image-name": "b"} x',
        b'{"name": 1, "image-name": "b"}',
        b'{"name": "a", "image-name": "b", "limits": []}',
        b'{"name": "a", "image-name": "b", "limits": {"memory": 1.5}}',
        b'{"name": "a", "image-name": "b", "limits": {"memory": "1"}}',
        b'{"name": "a", "image-name": "b", "bind-port": true}',
        b'{"name": "a", "image-name": "b", "bind-port": 9223372036854775808}',
        b'{"name": "a", "image-name": "b", "time-created": "yesterday"}',
        b'{"name": "a", "image-name": "b", "command": NaN}',
        b"[" * 100_000,
        b'{"name": "a", "image-name": "' + b"b" * 2**20 + b'"}',
    ],
    ids=lambda body: body[:40].decode(),
)
def test_what_is_no_template_is_refused_with_a_message(registry: Api, body: bytes) -> None:
    for method, path in (("POST", "/templates"), ("PUT", "/templates/nobody")):
        reply = registry.ask(method, path, TOKEN, content=body)
        assert (reply.status_code, reply.headers["Content-Type"]) == (400, JSON)
        assert reply.json()["message"]


@pytest.mark.parametrize("body", ["null", "{}", '{"name": "a"}', '{"image-name": "a"}', '{"name": "", "image-name": "a"}'])
def test_a_template_needs_a_name_and_an_image(registry: Api, body: str) -> None:
    reply = registry.ask("POST", "/templates", TOKEN, content=body)
    assert (reply.status_code, reply.json()) == (400, {"message": "name and image-name must be specified"})


def test_a_name_is_given_once(registry: Api, name: str) -> None:
    added(registry, name)
    reply = registry.ask("POST", "/templates", TOKEN, json={"name": name, "image-name": "other"})
    assert (reply.status_code, reply.json()) == (409, {"message": "Template already exists"})


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_template_that_nobody_wrote_is_not_found(registry: Api, method: str) -> None:
    reply = registry.ask(method, "/templates/nobody", TOKEN, content=b"{}")
    assert (reply.status_code, reply.headers["Content-Type"], reply.text) == (404, JSON, '{"message":"Template Not Found"}\n')


def test_a_change_touches_image_and_command_only(registry: Api, name: str) -> None:
    before = added(registry, name, command="old")
    body = {"name": "other", "image-name": "new", "command": "", "limits": {"memory": 1}, "bind-port": 1, "time-created": "2001-01-01T00:00:00Z"}
    reply = registry.ask("PUT", f"/templates/{name}", TOKEN, json=body)
    after = reply.json()
    assert reply.status_code == 202
    assert after == before | {"image-name": "new", "time-modified": after["time-modified"]}
    assert after["time-modified"] != before["time-modified"]
    again = registry.ask("PUT", f"/templates/{name}", TOKEN, content=b"{}").json()
    assert again == after | {"time-modified": again["time-modified"]}
    assert again["time-modified"] != after["time-modified"]
    assert registry.ask("GET", f"/templates/{name}").json() == again


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD"])
@pytest.mark.parametrize(
    ("path", "target"),
    [("/templates/", "/templates"), ("/templates/x/?a=b", "/templates/x?a=b"), ("//templates", "/templates"), ("/nothing/", "/nothing")],
)
def test_other_spellings_of_an_address_are_sent_to_it(registry: Api, method: str, path: str, target: str) -> None:
    reply = registry.ask(method, path)
    assert (reply.status_code, reply.headers["Location"]) == (301, registry.mount + target)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("HEAD", "/"),
        ("POST", "/"),
        ("HEAD", "/templates"),
        ("PUT", "/templates"),
        ("DELETE", "/templates/x"),
        ("POST", "/templates/x"),
        ("OPTIONS", "/templates"),
        ("GET", "/nothing"),
        ("GET", "/templates/a/b"),
        ("GET", "/templates/a%2Fb"),
    ],
)
def test_there_is_nothing_else(registry: Api, method: str, path: str) -> None:
    reply = registry.ask(method, path)
    assert (reply.status_code, reply.headers["Content-Type"]) == (404, "text/plain; charset=utf-8")
    assert reply.text == ("" if method == "HEAD" else "404 page not found\n")


def test_a_hundred_writers_lose_nothing(registry: Api, name: str) -> None:
    with ThreadPoolExecutor(20) as pool:
        bodies = [{"name": f"{name}-{number % 50}", "image-name": str(number)} for number in range(100)]
        statuses = list(pool.map(lambda body: registry.ask("POST", "/templates", TOKEN, json=body).status_code, bodies))
    assert sorted(statuses) == [201] * 50 + [409] * 50
    kept = [template["name"] for template in registry.ask("GET", "/templates").json() if template["name"].startswith(name)]
    assert sorted(kept) == sorted({body["name"] for body in bodies})


def test_an_answer_before_the_body_is_read_says_that_its_connection_is_closed(legacy_hub: HubProcess, ports: dict[str, int]) -> None:
    alone = Api(legacy_hub, "registry", ports["registry"])
    assert alone.ask("POST", "/templates", content=b"{}").headers["Connection"] == "close", "else a proxy sends its next request there"
    assert "Connection" not in alone.ask("POST", "/templates", TOKEN, content=b"{").headers
