"""A person signs in by a link that works once."""

from __future__ import annotations

import getpass
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from binderhub_service.common.one_time_token import new_token, redeem
from spawner.signin import OneTimeLinkAuthenticator, person
from tests.bare_hub import BareHub, running

CONFIG = """
c.JupyterHub.authenticator_class = "spawner.signin.OneTimeLinkAuthenticator"
c.OneTimeLinkAuthenticator.token_file = "signin"
c.OneTimeLinkAuthenticator.username = "ada"
c.JupyterHub.spawner_class = "simple"
c.Spawner.options_form = "choose"
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BareHub]:
    with running(tmp_path_factory.mktemp("hub"), CONFIG) as hub:
        yield hub


@pytest.fixture
def browser(hub: BareHub) -> Iterator[httpx.Client]:
    with hub.browser() as browser:
        yield browser


@pytest.fixture
def token(hub: BareHub) -> str:
    return new_token(hub.directory / "signin")


def form_of(page: httpx.Response) -> dict[str, str]:
    """Return the hidden fields of the sign-in form."""
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.text))


def test_a_token_works_once(tmp_path: Path) -> None:
    token = new_token(tmp_path / "signin")
    assert redeem(tmp_path / "signin", token)
    assert not redeem(tmp_path / "signin", token)


def test_a_wrong_token_leaves_the_right_one_usable(tmp_path: Path) -> None:
    token = new_token(tmp_path / "signin")
    assert not redeem(tmp_path / "signin", "wrong")
    assert not redeem(tmp_path / "signin", "")
    assert not redeem(tmp_path / "signin", "ä")
    assert redeem(tmp_path / "signin", token)


def test_a_newer_token_replaces_the_older(tmp_path: Path) -> None:
    older = new_token(tmp_path / "signin")
    newer = new_token(tmp_path / "signin")
    assert not redeem(tmp_path / "signin", older)
    assert redeem(tmp_path / "signin", newer)


def test_without_a_file_no_token_works(tmp_path: Path) -> None:
    assert not redeem(tmp_path / "signin", "anything")


def test_the_file_is_for_its_owner_only_and_does_not_hold_the_token(tmp_path: Path) -> None:
    token = new_token(tmp_path / "state" / "signin")
    file = tmp_path / "state" / "signin"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert token not in file.read_text()
    assert list(file.parent.iterdir()) == [file]


def test_of_many_who_use_a_token_at_the_same_time_one_wins(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as many:
        for _ in range(50):
            token = new_token(tmp_path / "signin")
            assert sum(many.map(lambda _, token=token: redeem(tmp_path / "signin", token), range(8))) == 1


@pytest.mark.parametrize(
    ("login", "name"),
    [("ada", "ada"), ("Ada Lovelace", "ada-lovelace"), ("DOMAIN\\ada", "domain-ada"), ("a/b", "a-b"), ("öä", "person")],
)
def test_a_login_name_becomes_a_valid_hub_name(monkeypatch: pytest.MonkeyPatch, login: str, name: str) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: login)
    assert person() == name
    assert OneTimeLinkAuthenticator().validate_username(name)


def test_somebody_without_a_login_name_gets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise OSError("No username set in the environment")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert person() == "person"


def test_the_person_is_allowed_and_an_admin(monkeypatch: pytest.MonkeyPatch) -> None:
    authenticator = OneTimeLinkAuthenticator(username="ada")
    assert authenticator.allowed_users == authenticator.admin_users == {"ada"}


def test_the_link_signs_in_once_and_then_the_cookie_does(browser: httpx.Client, hub: BareHub, token: str) -> None:
    first = browser.get("/hub/login", params={"token": token})
    assert (first.status_code, first.headers["Location"]) == (302, "/hub/spawn")
    assert browser.get("/hub/admin").status_code == 200
    with hub.browser() as somebody_else:
        again = somebody_else.get("/hub/login", params={"token": token})
        assert again.status_code == 403
        assert "used already" in again.text
        assert somebody_else.get("/hub/admin").status_code == 302


def test_the_token_is_not_carried_on_to_where_the_person_lands(browser: httpx.Client, token: str) -> None:
    reply = browser.get("/hub/login", params={"token": token, "repo": "o/r"})
    assert reply.headers["Location"] == "/hub/spawn?repo=o%2Fr"
    assert reply.headers["Referrer-Policy"] == "no-referrer"
    assert reply.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(("asked", "given"), [("/hub/token", "/hub/token"), ("https://example.org/", "/hub/spawn"), ("//example.org", "/hub/spawn")])
def test_the_link_leads_on_only_within_the_hub(browser: httpx.Client, token: str, asked: str, given: str) -> None:
    assert browser.get("/hub/login", params={"token": token, "next": asked}).headers["Location"] == given


def test_a_link_opened_by_somebody_signed_in_is_used_up_as_well(browser: httpx.Client, hub: BareHub, token: str) -> None:
    browser.get("/hub/login", params={"token": token})
    second = new_token(hub.directory / "signin")
    assert browser.get("/hub/login", params={"token": second}).status_code == 302
    assert not redeem(hub.directory / "signin", second)
    assert browser.get("/hub/login", params={"token": token}).status_code == 302


def test_the_page_says_what_to_do(browser: httpx.Client) -> None:
    page = browser.get("/hub/login")
    assert page.status_code == 200
    assert "printed in the terminal" in page.text
    assert "make link" in page.text
    assert page.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("paste", ["{token}", " {token}\n", "http://127.0.0.1:8000/hub/login?token={token}"])
def test_a_token_or_a_link_can_be_pasted(browser: httpx.Client, token: str, paste: str) -> None:
    page = browser.get("/hub/login", params={"next": "/hub/token"})
    # A page that sends no referrer has its forms sent with this origin.
    form = {**form_of(page), "token": paste.format(token=token)}
    reply = browser.post("/hub/login", params={"next": "/hub/token"}, data=form, headers={"Origin": "null"})
    assert (reply.status_code, reply.headers.get("Location")) == (302, "/hub/token")
    assert browser.get("/hub/token").status_code == 200


def test_a_wrong_token_is_answered_with_a_sentence_and_the_form_again(browser: httpx.Client) -> None:
    form = {**form_of(browser.get("/hub/login")), "token": "<script>"}
    reply = browser.post("/hub/login", data=form)
    assert reply.status_code == 403
    assert "used already" in reply.text
    assert "printed in the terminal" in reply.text
    assert "&lt;script&gt;" not in reply.text
    assert form_of(reply)["_xsrf"]


def test_an_empty_form_is_refused(browser: httpx.Client) -> None:
    assert browser.post("/hub/login", data=form_of(browser.get("/hub/login"))).status_code == 403


def test_a_form_from_elsewhere_is_refused(browser: httpx.Client, hub: BareHub, token: str) -> None:
    reply = browser.post("/hub/login", data={"token": token})
    assert reply.status_code == 403
    assert redeem(hub.directory / "signin", token), "the token must not be used up by a forged form"


def test_a_hostile_address_is_not_injected_into_the_page(browser: httpx.Client) -> None:
    page = browser.get("/hub/login", params={"next": '"><script>alert(1)</script>'})
    assert "<script>alert(1)" not in page.text


def test_tokens_are_never_logged(browser: httpx.Client, hub: BareHub, token: str) -> None:
    form = {**form_of(browser.get("/hub/login")), "token": "a-wrong-token-in-a-form"}
    browser.post("/hub/login", data=form)
    browser.get("/hub/login", params={"token": "a-wrong-token-in-a-link"})
    browser.get("/hub/login", params={"token": token})
    log = hub.log()
    assert "token=[secret]" in log
    assert token not in log
    assert "a-wrong-token" not in log
