"""The rules of addresses, refs and paths, on which hub and service agree."""

from __future__ import annotations

import logging
import time
from typing import Any
from urllib.parse import quote

import pytest

from binderhub_service.common.addresses import checked_address
from binderhub_service.common.credentials import HideCredentials, has_credentials, hide_in_line
from binderhub_service.common.paths import check_path
from binderhub_service.common.refs import check_ref, split_ref
from binderhub_service.common.refusal import Refused
from binderhub_service.errors import InvalidRequest
from binderhub_service.models import Request
from binderhub_service.providers import provider_for
from binderhub_service.providers.git import GitProvider
from spawner.options import options_from_json

SECRET = "SEKRET"
HALF = "\ud800"
HALVES = SECRET[:3], SECRET[3:]
LOGINS = [f"user:{SECRET}", *(f"user:{mark.join(HALVES)}" for mark in "/?#"), SECRET, f":{SECRET}"]
ADDRESSES = [
    *(f"https://{login}@host.example/o/r" for login in LOGINS),
    *(f"HTTP://{login}@host:8443/o/r" for login in LOGINS),
    f"ssh://git:{SECRET}@host.example/o/r",
    f"user:{SECRET}@host.example:o/r",
    f"https://host.example/o/r?authkey={SECRET}",
    f"https://host.example/o/r?private_token={SECRET}",
    f"https://host.example/o/r#access_token={SECRET}",
    "https://host.example/o/r?x=xoxb-0123456789abcdef",
    "https://host.example/AKIAABCDEFGHIJKLMNOP/r",
    "https://host.example/o/ghp_0123456789abcdefghijABCD",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_hub_and_service_see_the_same_credentials(address: str) -> None:
    with pytest.raises(Refused) as at_hub:
        options_from_json({"repo": address})
    with pytest.raises(InvalidRequest) as at_service:
        provider_for(Request(address), [GitProvider()])
    assert (at_hub.value.code, at_service.value.code) == ("credentials_in_address", "credentials_in_address")
    assert (at_hub.value.message, at_hub.value.hint) == (at_service.value.message, at_service.value.hint)


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("times", [1, 2])
def test_escaping_hides_no_credential(address: str, times: int) -> None:
    for _ in range(times):
        address = quote(address, safe="")
    assert has_credentials(f"/services/binder/v2/git/{address}/main")


@pytest.mark.parametrize(
    "address",
    [
        "https://host:8443/o/r",
        "ssh://git@host/o/r",
        "git@host:o/r",
        "https://host/@scope/r",
        "https://host.example:3000/a@b",
        "https://[::1]:80/o/a@b",
    ],
)
def test_an_address_without_a_credential_is_taken(address: str) -> None:
    assert not has_credentials(address)
    assert checked_address(address)


@pytest.mark.parametrize("ref", ["a//b", "x.lock", "x.lock/y", ".x", "a/.x", "x/", "/x", "@", "x.", HALF, f"a{HALF}", "a\x85b", "-x", "a" * 256])
def test_hub_and_service_refuse_the_same_refs(ref: str) -> None:
    with pytest.raises(Refused):
        options_from_json({"repo": "https://host/o/r", "ref": ref})
    with pytest.raises(InvalidRequest):
        GitProvider().canonical_repo(Request("https://host/o/r", ref))


@pytest.mark.parametrize("ref", ["main", "a/b", "x.locked", "a.b", "{x}", "é", "a@b"])
def test_hub_and_service_take_the_same_refs(ref: str) -> None:
    assert options_from_json({"repo": "https://host/o/r", "ref": ref}).ref == check_ref(ref) == ref


@pytest.mark.parametrize("name", ["repo", "ref", "path", "provider"])
def test_a_text_that_cannot_be_written_is_refused(name: str) -> None:
    given = {"repo": "https://host/o/r"}
    with pytest.raises(Refused):
        options_from_json({**given, name: given.get(name, "") + HALF})


def test_an_option_whose_name_cannot_be_written_is_refused_in_words_that_can() -> None:
    with pytest.raises(Refused) as caught:
        options_from_json({"repo": "https://host/o/r", HALF: "x"})
    assert caught.value.sentence.encode()


@pytest.mark.parametrize("given", [[1], "repo", 1, [["repo", "https://host/o/r"]]])
def test_options_that_are_no_object_are_refused(given: Any) -> None:
    with pytest.raises(Refused):
        options_from_json(given)


@pytest.mark.parametrize("path", [HALF, "a\x00b", "../x", "//x", "/a/%2e%2e/b", "https://x"])
def test_a_path_that_leads_out_is_refused(path: str) -> None:
    with pytest.raises(Refused):
        check_path(path)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (["main", "a", "b.ipynb"], ("main", "a/b.ipynb")),
        (["feature", "x", "a.ipynb"], ("feature/x", "a.ipynb")),
        (["feature", "x"], ("feature/x", "")),
        (["unknown", "x"], ("unknown", "x")),
        ([], ("", "")),
    ],
)
def test_the_longest_branch_that_is_there_is_meant(parts: list[str], expected: tuple[str, str]) -> None:
    assert split_ref(parts, {"main", "feature/x", "x"}) == expected


@pytest.mark.parametrize("address", [address for address in ADDRESSES if SECRET in address])
@pytest.mark.parametrize(
    "line",
    [
        "302 GET /hub/spawn?repo={} (alice@::1) 2.00ms",
        "400 GET /hub/spawn?ref=main&repo={} (@::1)",
        "302 GET /hub/ -> /hub/login?next={}",
        "404 GET /services/binder/v2/git/{}/main (1)",
        "Uncaught exception HTTPServerRequest(uri='/v2/git/{}', x=1)",
    ],
)
@pytest.mark.parametrize("escaped", [0, 1, 2])
def test_a_log_line_holds_no_credential(address: str, line: str, escaped: int) -> None:
    for _ in range(escaped):
        address = quote(address, safe="")
    hidden = hide_in_line(line.format(address))
    assert SECRET not in hidden
    assert SECRET[:3] not in hidden
    assert SECRET[3:] not in hidden


@pytest.mark.parametrize(
    "line",
    [
        "200 GET /hub/api/users/alice@example.org (alice@example.org@::1) 1.0ms",
        "302 GET /hub/spawn?repo=https://github.com/o/r&ref=main",
        "404 GET /v2/git/https%3A%2F%2Fhost%2Fo%2Fr/main",
    ],
)
def test_a_log_line_without_a_credential_is_left_alone(line: str) -> None:
    assert hide_in_line(line) == line


def test_a_logger_hides_what_its_arguments_hold() -> None:
    record = logging.LogRecord("tornado.access", logging.INFO, "", 0, "%d GET %s", (200, f"/x?repo=https://a:{SECRET}@h/x"), None)
    assert HideCredentials().filter(record)
    assert SECRET not in record.getMessage()


@pytest.mark.parametrize("unit", ["a", "@", ":", "://", "%25", "a:b@", "=", "&@", "https://a:", "?"])
def test_a_long_line_costs_little(unit: str) -> None:
    line = unit * (200_000 // len(unit))
    began = time.thread_time()
    hide_in_line(line)
    assert time.thread_time() - began < 1
