"""What a person asks for in the three ways in: it never stops the hub, and no credential in it is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.harness.hub import HubProcess
from tests.harness.hub_config import PASSWORD

SECRET = "SeKrEt4711"
HALF = "\\ud800"
GOOD = "http://127.0.0.1:9/o/r"
LOGINS = [f"user:{SECRET}", f"user:x/{SECRET}", f"user:x?{SECRET}", f"user:x#{SECRET}"]
BODIES = [
    *(f'{{"repo": "{GOOD}", "{name}": "{value}"}}' for name in ("repo", "ref", "path", "provider") for value in (HALF, "a\\u0000b", "\\udfff" * 40)),
    f'{{"repo": "{GOOD}", "{HALF}": "x"}}',
    '{"repo": ["x"]}',
    '{"repo": {"a": 1}}',
    '["repo"]',
    '"repo"',
    "[[1]]",
    '{"repo": "http://[::1/x"}',
    '{"repo": "http://h:99999999/x"}',
    '{"repo": "http://h:\\u0660/x"}',
    f'{{"repo": {"[" * 2000}{"]" * 2000}}}',
    f'{{"repo": "{"x" * 5000}"}}',
]
RAW = [b"%ed%a0%80", b"%ff", b"%00", b"%c0%80", b"%0d%0aX:1", b"http%3A%2F%2F%5B", b"a" * 5000]


def test_no_options_stop_a_hub_that_gives_up_after_one_failure(strict_hub: HubProcess) -> None:
    hub = strict_hub
    for number, body in enumerate(BODIES):
        path = f"/users/alice/servers/s{number}"
        reply = hub.api("POST", path, content=body, headers={"Content-Type": "application/json"})
        assert reply.status_code in {400, 422, 424}, f"{body[:80]}: {reply.status_code} {reply.text}"
    with hub.login("alice") as client:
        client.get(f"{hub.url}/hub/spawn")
        xsrf = hub.xsrf(client, "/hub/")
        for raw in RAW:
            content = b"repo=" + raw + b"&ref=" + raw + b"&_xsrf=" + quote(xsrf).encode()
            headers = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Mode": "navigate"}
            client.post(f"{hub.url}/hub/spawn", content=content, headers=headers)
            client.get(f"{hub.url}/hub/spawn?repo={raw.decode()}&opt-ref={raw.decode()}&path={raw.decode()}")
    assert hub.is_running()
    assert "Aborting due to" not in hub.log()
    assert hub.api("GET", "/").is_success


def asked_everywhere(hub: HubProcess, address: str) -> list[httpx.Response]:
    """Send an address in every way in; return the answers."""
    escaped = quote(address, safe="")
    token = hub.token("alice")
    replies = [
        hub.api("POST", "/users/alice/servers/secret", json={"repo": address}),
        hub.service("POST", "/api/builds", token, json={"repo": address}),
        hub.service("POST", "/api/launches", token, json={"repo": address}),
        hub.service("GET", f"/api/builds?repo={escaped}", token),
        hub.service("GET", f"/v2/git/{escaped}/main"),
        hub.service("GET", f"/v2/git/{quote(escaped, safe='')}/main"),
        hub.service("GET", f"/static/{escaped}"),
    ]
    with hub.login("alice") as client:
        replies += [
            client.get(f"{hub.service_url}/v2/git/{escaped}/main"),
            client.get(f"{hub.url}/hub/spawn", params={"repo": address}),
            client.get(f"{hub.url}/hub/spawn?repo={address}"),
        ]
        for form in ({"repo": address}, {"repo": GOOD, "ref": address}, {"repo": GOOD, "path": address}):
            replies.append(
                client.post(f"{hub.url}/hub/spawn", data={**form, "_xsrf": hub.xsrf(client, "/hub/")}, headers={"Sec-Fetch-Mode": "navigate"})
            )
    return replies


def test_a_credential_in_an_address_is_kept_by_nobody(strict_hub: HubProcess) -> None:
    for login in LOGINS:
        for reply in asked_everywhere(strict_hub, f"https://{login}@host.invalid/o/r"):
            assert reply.status_code < 500, f"{reply.url}: {reply.text}"
            assert SECRET not in reply.text, str(reply.url)
            assert not any(SECRET in value for value in reply.headers.values()), reply.headers
    holders = [file for file in files_below(strict_hub.directory) if SECRET.encode() in file.read_bytes()]
    assert holders == [], [line for line in strict_hub.log().splitlines() if SECRET in line]


@pytest.mark.parametrize("path", ["spawn", "user-redirect/lab"])
def test_a_credential_in_a_link_reaches_no_log_of_the_hub_though_nobody_is_signed_in(strict_hub: HubProcess, path: str) -> None:
    hub = strict_hub
    for login in (LOGINS[0], LOGINS[-1], SECRET):
        address = quote(f"https://{login}@host.invalid/o/r", safe="")
        with httpx.Client(follow_redirects=True, timeout=60) as client:
            page = client.get(f"{hub.url}/hub/{path}?repo={address}&ref=main")
            assert page.url.path.endswith("/hub/login"), "the hub asks who is there, and keeps the link meanwhile"
            form = {"username": "alice", "password": PASSWORD, "_xsrf": hub.xsrf(client, "/hub/")}
            client.post(page.url, data={**form, "_xsrf": "wrong"}, headers={"Referer": str(page.url)})
            arrived = client.post(page.url, data=form, headers={"Sec-Fetch-Mode": "navigate"})
        if path == "spawn":
            assert arrived.url.path.startswith("/hub/spawn"), arrived.url
            assert SECRET not in arrived.text
    assert [line for line in hub.log().splitlines() if SECRET in line] == []
    assert [file for file in files_below(hub.directory) if SECRET.encode() in file.read_bytes()] == []


def files_below(folder: Path) -> Iterator[Path]:
    return (file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
