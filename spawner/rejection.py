"""Why a server was not started, as the hub shows it: a sentence, a hint and where the whole log is."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import jupyterhub.spawner
from markupsafe import Markup
from tornado import web

from binder_client.answers import ServiceError
from binderhub_service.common.terminal import plain

MAX_SENTENCE_CHARACTERS = 2000
FAILED_DEPENDENCY = 424
COMMAND_NOT_FOUND = 127
NO_SERVER_PROGRAM = (
    "There is no jupyterhub-singleuser in the image that this repository makes, so no server can start from it. "
    "Install it, e.g. in its Dockerfile with: RUN pip install jupyterhub jupyterlab"
)
# Hubs that know SpawnException do not count an HTTP error below 500 as a failure of the hub; older ones count everything.
_HUB_COUNTS_REJECTIONS = not hasattr(jupyterhub.spawner, "SpawnException")


class Rejection(web.HTTPError):
    """A server is not started, for a reason that is not the hub's fault.

    Args:
        status: an HTTP status below 500.
        sentence: what is wrong and what to do about it, for people.
        log_url: where the build's whole log is, if there is one.
        retry_after_seconds: when asking again makes sense, if that is known.
    """

    def __init__(self, status: int, sentence: str, *, log_url: str = "", retry_after_seconds: int | None = None) -> None:
        sentence = " ".join(plain(line) for line in sentence.splitlines())[:MAX_SENTENCE_CHARACTERS]
        text = f"{sentence} The whole log is at {log_url}" if log_url else sentence
        super().__init__(status, text)
        self.jupyterhub_message = text
        if log_url:
            link = Markup('{} <a href="{}">The whole log is on the build\'s page.</a>')
            self.jupyterhub_html_message = str(link.format(sentence, log_url))
        if retry_after_seconds is not None:
            self.headers = {"Retry-After": str(retry_after_seconds)}


def service_refused(error: ServiceError, log_url: str = "") -> Rejection:
    """Return the rejection that an error of the service means: its own refusals as they are, and everything else as a missing service."""
    status = error.status if 400 <= error.status < 500 else FAILED_DEPENDENCY
    return Rejection(status, f"{error.message} {error.hint}".strip(), log_url=log_url, retry_after_seconds=error.retry_after_seconds)


def build_failed(build: dict[str, Any], log_url: str) -> Rejection:
    """Return the rejection that a build which has ended without an image means."""
    error = build.get("error") or {}
    if build.get("state") == "cancelled":
        sentence = error.get("message") or "The build was cancelled."
        return Rejection(409, f"{sentence} {error.get('hint') or 'Start it again if you need it.'}", log_url=log_url)
    sentence = error.get("message") or "The repository could not be made into an environment."
    return Rejection(422, f"{sentence} {error.get('hint') or ''}".strip(), log_url=log_url)


def server_ended(status: int, said_last: str, *, out_of_memory: bool = False) -> Rejection:
    """Return the rejection that a server which ended while it started means.

    Args:
        status: its exit status.
        said_last: its last lines, as far as they are known.
        out_of_memory: whether it was ended for taking more memory than it may.
    """
    if out_of_memory:
        return Rejection(422, "The server needs more memory than it may have, so it was ended while it started.")
    if status == COMMAND_NOT_FOUND and "missing program: " in said_last:
        return Rejection(422, NO_SERVER_PROGRAM)
    if not status:
        said_last = f'{said_last} (A start script or an ENTRYPOINT has to end with exec "$@".)'.strip()
    last = f"It said last: {said_last}" if said_last else "What it said, an administrator finds in the hub's log."
    cure = "" if status else ' A start script or an ENTRYPOINT that does not end with exec "$@" is the usual reason.'
    return Rejection(422, f"The server ended with status {status} while it started.{cure} {last}")


def script_ended(script: str, status: int) -> Rejection:
    """Return the rejection of a server that is started by a script and has ended while it started.

    Args:
        status: its exit status; where that is neither 0 nor `COMMAND_NOT_FOUND`, the server may have ended with it as well.
    """
    if status == COMMAND_NOT_FOUND:
        return Rejection(422, f"The script {script} ended with status {status}: a program that it names is not here. The hub's log says which.")
    if status:
        what = f"It may have been the script {script} that ended: run it in a terminal of another server, or rename it, to see."
        return Rejection(422, f"{server_ended(status, '').jupyterhub_message} {what}")
    return Rejection(422, f'The script {script} ended without starting the server. Its last line must be: exec "$@"')


def server_silent(seconds: float) -> Rejection:
    """Return the rejection that a server means which runs, but has not answered in all the time it had."""
    sentence = f"The server runs, but did not answer within {seconds:g} seconds. Its start may wait for something, or never end."
    return Rejection(422, f"{sentence} If it only needs longer, ask an administrator for a longer start_timeout.")


def start_too_long(seconds: float) -> Rejection:
    """Return the rejection that a start means which has not come to an end, good or bad, in all the time it had."""
    sentence = f"The server did not start within {seconds:g} seconds. Start it again; many servers may be starting on this machine right now."
    return Rejection(422, f"{sentence} If it happens again, ask an administrator for a longer start_timeout.")


def cannot_be_started(said: str) -> Rejection:
    """Return the rejection of an image whose program an engine cannot even start."""
    return Rejection(422, f"The image that this repository makes cannot be started: {said}")


def uncount_failure(settings: MutableMapping[str, Any]) -> None:
    """Make up for the failure that the hub is about to count, so that repositories which do not build never stop a hub.

    With `consecutive_failure_limit` a hub stops itself after so many failed starts in a row. Hubs before 6 count every
    exception, however it is meant.

    Args:
        settings: those of the hub's request handlers, where the count is.
    """
    if _HUB_COUNTS_REJECTIONS:
        settings["failure_count"] = settings.get("failure_count", 0) - 1
