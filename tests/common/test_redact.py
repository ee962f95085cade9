"""Nothing that looks like a credential gets into logs, answers or the store."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binderhub_service.common.credentials import has_credentials
from binderhub_service.common.redact import MAX_CHARACTERS, redact

SECRET = "sekret-value"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"fatal: unable to access 'https://{SECRET}@host/o/r/': 403", "fatal: unable to access 'https://***@host/o/r/': 403"),
        (f"https://alice:{SECRET}@host/o/r", "https://***@host/o/r"),
        (f"https://:{SECRET}@host", "https://***@host"),
        ("https://oauth2:@host", "https://***@host"),
        (f"git+https://alice:{SECRET}@host/r@v1", "git+https://***@host/r@v1"),
        (f"ssh://git:{SECRET}@host/r", "ssh://***@host/r"),
        (f"two https://{SECRET}@a and http://{SECRET}@b", "two https://***@a and http://***@b"),
        (f"https://host/r?private_token={SECRET}&x=1", "https://host/r?private_token=***&x=1"),
        (f"https://host/r?x=1&API_KEY={SECRET}", "https://host/r?x=1&API_KEY=***"),
        (f"> Authorization: Basic {SECRET}", "> Authorization: ***"),
        (f"authorization=token {SECRET}", "authorization=***"),
        ("token ghp_" + "a1" * 18, "token ***"),
        ("github_pat_" + "a1_" * 10, "***"),
        ("glpat-" + "a1-x" * 5, "***"),
        ("xoxb-" + "1234567890-a", "***"),
        ("AKIA" + "A1" * 8, "***"),
    ],
)
def test_a_credential_is_hidden_and_the_rest_stays(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert SECRET not in redact(text)
    assert redact(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Cloning https://github.com/o/r at main",
        "ssh://git@git.example.org:2222/o/r.git",
        "git@github.com:o/r.git",
        "pkg @ https://host/pkg-1.0.whl",
        "mail someone@example.org",
        "https://host/a@b",
        "https://host/r?tab=readme&page=2",
        "a token is a word",
    ],
)
def test_what_is_no_credential_is_left_alone(text: str) -> None:
    assert redact(text) == text
    assert not has_credentials(text)


@pytest.mark.parametrize(
    "address",
    [
        f"alice:{SECRET}@host:o/r",
        f"https://al'ice:{SECRET}@host/r",
        f'https://a"{SECRET}@host',
        f"https://a:{SECRET}@x@host/r",
        f"git://a:{SECRET}@host/r",
    ],
)
def test_an_address_is_looked_at_more_closely_than_a_log_line(address: str) -> None:
    assert has_credentials(address)


@given(st.text(max_size=200))
def test_any_text_can_be_redacted_and_once_is_enough(text: str) -> None:
    assert redact(redact(text)) == redact(text)


MEBIBYTE = 1024 * 1024
MOST_SECONDS = 0.01
PARTS = 8
# fmt: off
UNITS = [
    "a", " ", "-", "é", "'", "\x00", "://", "a://", "a://b:", "a://b@", "x@", "ssh://git@h ", "?token=", "?a", "?token", "&",
    "authorization", "authorization ", "authorization: ", "ghp_", "ghp_" + "a" * 19 + ".", "github_pat_", "glpat-", "xoxb-", "AKIA", "AKIA1 ",
]
# fmt: on


@pytest.mark.parametrize("unit", UNITS)
def test_a_mebibyte_of_anything_costs_milliseconds_or_on_a_slow_machine_what_its_length_says(unit: str) -> None:
    text = (unit * MEBIBYTE)[:MEBIBYTE]
    seconds = seconds_of(text)
    assert seconds < MOST_SECONDS or seconds < 2 * PARTS * seconds_of(text[: MEBIBYTE // PARTS])


def seconds_of(text: str) -> float:
    """Return how many seconds of this thread a text takes; the least of ten, as a processor that others use as well is slower for a while."""
    taken = []
    for _ in range(10):
        begun = time.thread_time()
        redact(text)
        taken.append(time.thread_time() - begun)
    return min(taken)


CREDENTIALS = [
    f"https://alice:{SECRET}@host/o/r",
    f"https://{SECRET}@host",
    "ghp_" + SECRET.replace("-", "") + "a1" * 18,
    "glpat-" + SECRET + "a1-x" * 5,
    "xoxb-" + SECRET + "1234567890",
    f"https://host/r?private_token={SECRET}",
    f"authorization: Bearer {SECRET}",
]


@pytest.mark.parametrize("credential", CREDENTIALS)
@pytest.mark.parametrize("filler", ["x ", "x/", "https://host/", '{"k":"v"},'])
def test_a_credential_is_hidden_wherever_it_stands_in_a_giant_line(credential: str, filler: str) -> None:
    for before in [0, 1000, *range(MAX_CHARACTERS - len(credential) - 2, MAX_CHARACTERS + 2)]:
        text = (filler * MEBIBYTE)[:before] + " " + credential + " " + filler * 1000
        shown = redact(text)
        assert not any(part in shown for part in ("sekretv", "sekret-v", "sekre")), shown[-200:]
        assert redact(shown) == shown or len(shown) > MAX_CHARACTERS


def test_what_is_left_out_of_a_giant_line_is_said() -> None:
    assert redact("x" * MEBIBYTE) == "x" * MAX_CHARACTERS + f" ... ({MEBIBYTE - MAX_CHARACTERS} more characters are left out)"
