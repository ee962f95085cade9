"""What ends the service before somebody stops it."""

from __future__ import annotations

import socket

import pytest
from tornado import web

from binderhub_service.errors import Unavailable
from binderhub_service.process.endings import is_token_refused, loss_of_database, refusal_of_token
from tests.fake_hub import serving
from tests.harness.hub import HubProcess
from tests.harness.waiting import in_time


class Answers(web.RequestHandler):
    """Answers with a status, as a hub or as something else."""

    def initialize(self, status: int, headers: dict[str, str]) -> None:
        self._answer, self._more = status, headers

    def get(self) -> None:
        self.set_status(self._answer)
        for name, value in self._more.items():
            self.set_header(name, value)
        self.finish("{}")


HUB = {"X-JupyterHub-Version": "5.5.0"}


@pytest.mark.parametrize(
    ("status", "headers", "refused"),
    [(403, HUB, True), (401, HUB, True), (403, {}, False), (401, {}, False), (200, HUB, False), (500, HUB, False), (302, {"Location": "/x"}, False)],
)
async def test_only_a_hub_s_own_refusal_is_one(status: int, headers: dict[str, str], refused: bool) -> None:
    async with serving(web.Application([(r"/.*", Answers, {"status": status, "headers": headers})])) as url:
        assert await is_token_refused(f"{url}/hub/api", "t") is refused


async def test_a_hub_that_is_away_refuses_nothing() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    assert not await is_token_refused(url, "t")


async def test_a_real_hub_refuses_a_token_that_it_does_not_know_and_no_other(hub: HubProcess, alice: str) -> None:
    assert await is_token_refused(f"{hub.url}/hub/api", "of-an-earlier-hub")
    assert not await is_token_refused(f"{hub.url}/hub/api", alice)


async def test_the_service_ends_when_its_token_is_refused_for_good_and_not_before(caplog: pytest.LogCaptureFixture) -> None:
    answers = [True, True, True, True, False, True, True, False, True, True, True, True, True]

    async def is_refused() -> bool:
        return answers.pop(0)

    why = await in_time(refusal_of_token(is_refused, 0))
    assert answers == []
    assert "refused this service's own token 5 times on end" in why
    assert caplog.text.count("The hub refuses this service's own token") == 3


class Database:
    """A database that answers as it is told.

    Attributes:
        answers: whether it answers, one question after the other; the last answer is that another service has it.
    """

    def __init__(self, *answers: bool) -> None:
        self.answers = list(answers)
        self.lost = False

    async def check(self) -> None:
        self.lost = not self.answers
        if self.lost or not self.answers.pop(0):
            raise Unavailable("The database did not answer.")


async def test_a_silent_database_is_said_once_and_a_lost_one_ends_the_service(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("binderhub_service.process.endings._DATABASE_SECONDS", 0)
    why = await in_time(loss_of_database(Database(True, False, False, True, True)))
    assert "Another service has taken the database over" in why
    assert caplog.text.count("The database did not answer.") == 1
    assert caplog.text.count("answers again") == 1
