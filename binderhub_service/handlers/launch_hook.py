"""The operator's function that is called before a launch, as BinderHub calls it."""

from __future__ import annotations

import http.client
import inspect
from collections.abc import Callable
from typing import Any

from tornado import web

from ..errors import NotAllowed
from ..launches.launches import BeforeLaunch, Planned


class LaunchRefused(NotAllowed):
    """The operator's function refused a launch, with a status and a sentence of its own."""

    code = "refused_by_hook"

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def before_launch(hook: Callable[..., Any], launcher: object) -> BeforeLaunch:
    """Return what calls ``hook(launcher, image, username, server_name, repo_url)``, which may be a coroutine.

    What it raises as `tornado.web.HTTPError` becomes `LaunchRefused`.
    """

    async def call(planned: Planned) -> None:
        try:
            answer = hook(launcher, planned.image, planned.user_name, planned.server, planned.repo_url)
            if inspect.isawaitable(answer):
                await answer
        except web.HTTPError as error:
            raise LaunchRefused(error.status_code, _sentence(error)) from error

    return call


def _sentence(error: web.HTTPError) -> str:
    """Return what to tell: the text, else the reason, else what the status is called."""
    told = str((error.log_message or "") % error.args)
    return told or str(error.reason or http.client.responses.get(error.status_code, "The launch was refused."))
