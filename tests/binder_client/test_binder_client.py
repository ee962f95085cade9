"""What `binder` knows before it asks: which hub, which token, from where; and what it makes of text of others."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from binder_client.answers import Away, ServiceError, unavailable
from binder_client.client import BuildClient, BuildEvent
from binder_client.commands.builds import check_ended
from binder_client.commands.calling import CallRefused, Stop, run
from binder_client.commands.following import Following
from binder_client.commands.servers import chosen_server
from binder_client.config_file import Config, UnusableConfig, read_config, write_config
from binder_client.hub_address import HubAddress, hub_address
from binder_client.hub_api import Person
from binder_client.session import NoSession, Session, check_token, find_session
from binderhub_service.common.terminal import coloured

HUB = "https://hub.example.org"
OTHER = "https://other.example.org"
CONFIG = Config(HUB, {HUB: "of-the-file"})


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("https://hub.example.org", HubAddress(HUB)),
        (" https://hub.example.org/ ", HubAddress(HUB)),
        ("https://hub.example.org/hub/home", HubAddress(HUB)),
        ("https://hub.example.org/services/binder/", HubAddress(HUB)),
        ("https://hub.example.org/base/services/images/builds?x=1", HubAddress(f"{HUB}/base", "images")),
        ("http://127.0.0.1:8000/base/", HubAddress("http://127.0.0.1:8000/base")),
        ("http://[::1]:8000", HubAddress("http://[::1]:8000")),
    ],
)
def test_a_hub_is_named_by_the_address_of_any_page_of_it(given: str, address: HubAddress) -> None:
    assert hub_address(given) == address
    assert hub_address(address.text) == address


@pytest.mark.parametrize("given", ["", "hub.example.org", "ftp://hub.example.org", "https://", "https://me:secret@hub.example.org", "http://a:b:c"])
def test_what_is_no_address_of_a_hub_is_refused_in_a_sentence(given: str) -> None:
    with pytest.raises(ValueError, match=r"^(A hub's address|This is not).*\.$") as caught:
        hub_address(given)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("hub", "token", "environment", "found"),
    [
        ("", "", {}, (HUB, "of-the-file")),
        ("", "", {"JUPYTERHUB_API_TOKEN": "of-a-server"}, (HUB, "of-the-file")),
        ("", "", {"BINDER_TOKEN": "of-the-environment"}, (HUB, "of-the-environment")),
        ("", "typed", {"BINDER_TOKEN": "of-the-environment"}, (HUB, "typed")),
        ("", "", {"BINDER_HUB": OTHER, "BINDER_TOKEN": "typed", "JUPYTERHUB_API_TOKEN": "y"}, (OTHER, "typed")),
        ("", "", {"BINDER_HUB": OTHER, "JUPYTERHUB_API_TOKEN": "of-a-server"}, (OTHER, "of-a-server")),
        (f"{OTHER}/hub/home", "typed", {"BINDER_HUB": HUB}, (OTHER, "typed")),
    ],
)
def test_the_command_line_comes_before_the_environment_and_the_file(
    hub: str, token: str, environment: dict[str, str], found: tuple[str, str]
) -> None:
    session = find_session(hub, token, CONFIG, environment)
    assert (session.hub.url, session.token) == found
    assert found[1] not in repr(session)


def test_a_token_of_the_file_goes_to_no_other_hub() -> None:
    with pytest.raises(NoSession, match=f"There is no token for {OTHER}"):
        find_session(OTHER, "", CONFIG, {})


def test_without_a_hub_a_sentence_says_how_to_name_one() -> None:
    with pytest.raises(NoSession, match="run `binder login`"):
        find_session("", "t", Config(), {})


@pytest.mark.parametrize("token", ["", " ", "a b", "a\nb", "é"])
def test_what_is_no_token_is_never_sent(token: str) -> None:
    with pytest.raises(NoSession, match="not a token"):
        check_token(token)


def test_the_file_is_for_its_owner_alone_and_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config.json"
    assert read_config(path) == Config()
    write_config(path, CONFIG)
    write_config(path, CONFIG.with_login(OTHER, "second"))
    assert read_config(path) == Config(OTHER, {HUB: "of-the-file", OTHER: "second"})
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert [*path.parent.iterdir()] == [path]
    assert "second" not in repr(read_config(path))


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_a_file_that_others_may_read_is_not_used(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "config.json"
    write_config(path, CONFIG)
    path.chmod(mode)
    with pytest.raises(UnusableConfig, match="chmod 600"):
        read_config(path)


@pytest.mark.parametrize("content", ["", "{", "[]", json.dumps({"hub": 1}), json.dumps({"tokens": ["a"]}), json.dumps({"tokens": {"a": 1}})])
def test_a_file_that_is_broken_is_told(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(UnusableConfig, match="cannot be understood"):
        read_config(path)


def test_a_file_that_cannot_be_read_or_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnusableConfig, match="cannot be read"):
        read_config(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(UnusableConfig, match="cannot be written"):
        write_config(tmp_path / "file" / "config.json", CONFIG)


@pytest.mark.parametrize(
    ("scope", "may"),
    [("servers", True), ("servers!user", True), ("servers!user=ada", True), ("servers!user=bob", False), ("read:servers", False)],
)
def test_a_token_may_what_its_scopes_say(scope: str, may: bool) -> None:
    assert Person("ada", frozenset({scope}), None).may("servers!user") is may


@pytest.mark.parametrize("scope", ["access:services", "access:services!service=binder"])
def test_a_token_for_all_services_is_one_for_this_service(scope: str) -> None:
    assert Person("ada", frozenset({scope}), None).may("access:services!service=binder")


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("\x1b[1;31mred\x1b[0m text", "\x1b[1;31mred\x1b[0m text"),
        ("\x1b[38:2:1:2:3mx", "\x1b[38:2:1:2:3mx"),
        ("a\x1b[2Jb\x1b[1;1Hc\x1b[?1049hd", "abcd"),
        ("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "alink"),
        ("a\x07\x08\x00\x9b2Jb", "a2Jb"),
        ("old\rnew\r\n", "new"),
        ("\x1b\x1b[31m[2Jx", "\x1b[31m[2Jx"),
        ("a\u202eb", "ab"),
    ],
)
def test_of_a_line_only_text_and_colours_are_kept(line: str, kept: str) -> None:
    assert coloured(line) == kept


READY, STARTING = {"ready": True}, {"ready": False, "pending": "spawn"}


@pytest.mark.parametrize(
    ("servers", "named", "chosen"),
    [({"": READY}, None, ""), ({"a": READY}, None, "a"), ({"a": READY, "b": STARTING}, None, "a"), ({"": READY, "a": READY}, "", "")],
)
def test_the_only_server_needs_no_name(servers: dict[str, dict[str, Any]], named: str | None, chosen: str) -> None:
    assert chosen_server(Person("ada", frozenset(), servers), named, only_ready=True) == chosen


@pytest.mark.parametrize(
    ("servers", "named", "sentence"),
    [
        (None, None, "The token may not see your servers: it lacks the permission read:servers!user."),
        ({}, None, "No server of yours runs."),
        ({"a": STARTING}, None, "The server a is not there yet, or not any more: try again in a moment."),
        ({"a": READY, "": STARTING}, "", "The server '' is not there yet, or not any more: try again in a moment."),
        ({"a": READY, "b": READY}, None, "More than one server of yours runs: name one. There are a, b."),
        ({"": READY}, "a", "No server a of yours runs. There are ''."),
    ],
)
def test_a_server_that_is_not_there_is_told(servers: dict[str, dict[str, Any]] | None, named: str | None, sentence: str) -> None:
    with pytest.raises(Stop) as caught:
        chosen_server(Person("ada", frozenset(), servers), named, only_ready=True)
    assert caught.value.message == sentence


@pytest.mark.parametrize(
    ("cause", "advice"),
    [(ssl.SSLCertVerificationError("unable to get local issuer certificate"), "by SSL_CERT_FILE."), (OSError("refused"), "at its log.")],
)
def test_a_certificate_that_is_not_trusted_is_told_with_what_to_do(cause: Exception, advice: str) -> None:
    async def asking() -> None:
        try:
            raise Away from cause
        except Away as error:
            raise unavailable(error) from error

    with pytest.raises(CallRefused, match=rf"does not answer at {HUB} .*{advice}$") as caught:
        run(Session(HubAddress(HUB), "t"), asking())
    assert isinstance(caught.value.__cause__, ServiceError)


class TrialGoesOn:
    """A client of a service whose build has made its image and never ends."""

    async def follow(self, build_id: str, after: int, *, on_away: Any) -> AsyncIterator[BuildEvent]:
        """Yield events."""
        yield BuildEvent(1, "phase", {"phase": "pushing", "message": "Pushing"})
        yield BuildEvent(2, "phase", {"phase": "pushing", "message": "Trying", "image": "r/a:1"})
        raise AssertionError("it waits for the trial")


async def test_a_launch_waits_for_an_image_and_not_for_its_trial(capsys: pytest.CaptureFixture[str]) -> None:
    with Following() as following:
        build = await following.follow(cast("BuildClient", TrialGoesOn()), {"id": "b", "state": "running", "image": "r/a:1"}, until_image=True)
    check_ended(build)
    assert capsys.readouterr().err.endswith("Pushing\nTrying\nThe image is there: r/a:1\n")
