"""May we push there? What registries say to the question, and what it means."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from binderhub_service.clients.credentials import Credentials, Login
from binderhub_service.clients.registry import RegistryClient
from binderhub_service.errors import BuildFailed, Unavailable
from binderhub_service.worker.push_check import check_may_push

NAME = "r.example/project/binder-a:1"
UPLOADS = "https://r.example/v2/project/binder-a/blobs/uploads/"
BASIC = {"WWW-Authenticate": 'Basic realm="r"'}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("binderhub_service.clients.registry._RETRY_SECONDS", (0, 0))


async def check(answer: Callable[[httpx.Request], httpx.Response], *logins: Login) -> None:
    """Ask a registry that answers so."""
    credentials = Credentials(logins)
    client = RegistryClient(credentials, transport=httpx.MockTransport(answer))
    try:
        await check_may_push(client, credentials, NAME)
    finally:
        await client.close()


async def test_an_upload_is_begun_and_given_up() -> None:
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((request.method, str(request.url)))
        return httpx.Response(202, headers={"Location": f"{UPLOADS}some-id?state=x"})

    await check(answer)
    assert seen == [("POST", UPLOADS), ("DELETE", f"{UPLOADS}some-id?state=x")]


async def test_a_registry_that_lets_nobody_push_is_said() -> None:
    with pytest.raises(BuildFailed) as caught:
        await check(lambda request: httpx.Response(403, json={"errors": [{"code": "DENIED", "message": "requested access is denied"}]}))
    assert caught.value.code == "push_denied"


async def test_a_token_that_is_good_for_pulling_only_is_a_push_that_is_denied() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "auth.example":
            assert request.url.params["scope"] == "repository:project/binder-a:pull,push"
            return httpx.Response(200, json={"token": "t"})
        challenge = 'Bearer realm="https://auth.example/token",service="r",scope="repository:project/binder-a:pull,push"'
        if "Authorization" in request.headers:
            challenge += ',error="insufficient_scope"'
        return httpx.Response(401, headers={"WWW-Authenticate": challenge}, json={"errors": [{"code": "UNAUTHORIZED"}]})

    with pytest.raises(BuildFailed) as caught:
        await check(answer, Login("r.example", "hub", "secret"))
    assert caught.value.code == "push_denied"


@pytest.mark.parametrize("logins", [(), (Login("r.example", "hub", "wrong"),)])
async def test_a_login_that_is_wrong_or_not_there_is_said(logins: tuple[Login, ...]) -> None:
    refusal = {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}
    with pytest.raises(Unavailable) as caught:
        await check(lambda request: httpx.Response(401, headers=BASIC, json=refusal), *logins)
    assert caught.value.code == "registry_login_failed"


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_what_is_no_plain_refusal_is_left_to_the_push(status: int) -> None:
    await check(lambda request: httpx.Response(status))


async def test_a_registry_that_does_not_let_uploads_be_given_up_is_none_the_worse() -> None:
    await check(
        lambda request: httpx.Response(202 if request.method == "POST" else 405, headers={"Location": "/v2/project/binder-a/blobs/uploads/1"})
    )


async def test_a_registry_that_is_away_is_not_a_refusal() -> None:
    with pytest.raises(Unavailable) as caught:
        await check(lambda request: httpx.Response(503))
    assert caught.value.code == "registry_unavailable"
