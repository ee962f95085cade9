"""How a command asks: options that all share, one run of asyncio, and errors as one sentence with an exit status."""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import IO, Any, NoReturn, TypeVar

import click

from ..answers import ServiceError
from ..config_file import UnusableConfig, config_path, read_config
from ..hub_api import UNKNOWN_TOKEN, Person
from ..session import NoSession, Session, find_session
from .output import text

T = TypeVar("T")
_UNTRUSTED = "Its certificate is not trusted here: name a file with the authority's certificate by SSL_CERT_FILE."


@dataclass(frozen=True)
class Named:
    """What stands on the command line before the command."""

    hub: str = ""
    token: str = field(default="", repr=False)


class Stop(click.ClickException):
    """The command ends here, with a sentence on stderr and the exit status of the subclass."""

    def __init__(self, sentence: str) -> None:
        super().__init__(text(sentence))

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the sentence."""
        click.echo(f"binder: {self.message}", err=True)


class Failed(Stop):
    """A build failed or was cancelled, or a server did not start."""

    exit_code = 1


class Unusable(Stop):
    """The command line or the configuration cannot be used."""

    exit_code = 2


class CallRefused(Stop):
    """The hub or its build service refuses, or does not answer."""

    exit_code = 3


class Interrupted(Stop):
    """Somebody pressed Ctrl-C."""

    exit_code = 130


def connected(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options ``--hub`` and ``--token``, and the session that they mean as its first argument."""

    @click.option("--hub", default="", metavar="URL", help="The hub's address, as before the command.")
    @click.option("--token", default="", help="A token of the hub, as before the command.")
    @click.pass_context
    @functools.wraps(command)
    def with_session(context: click.Context, /, *, hub: str, token: str, **more: Any) -> None:
        command(session_of(context, hub, token), **more)

    return with_session


def session_of(context: click.Context, hub: str = "", token: str = "") -> Session:
    """Return the session that the command line, the environment and the configuration file mean; raises `Stop`."""
    named = context.find_object(Named) or Named()
    try:
        return find_session(hub or named.hub, token or named.token, read_config(config_path()))
    except (NoSession, UnusableConfig) as error:
        raise Unusable(str(error)) from error


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


def run(session: Session, asking: Coroutine[Any, Any, T], *, interrupted: Callable[[], str] = lambda: "") -> T:
    """Return what `asking` returns.

    Args:
        interrupted: what to say after Ctrl-C.

    Raises:
        Stop: the service refuses or does not answer, or somebody pressed Ctrl-C.
    """
    try:
        return asyncio.run(asking)
    except KeyboardInterrupt:
        raise Interrupted(interrupted() or "Interrupted.") from None
    except ServiceError as error:
        _stop(session, error)


def _stop(session: Session, error: ServiceError) -> NoReturn:
    sentence = f"{error.message} {error.hint}".strip()
    if error.code == "service_unavailable":
        cause = _first_cause(error)
        hint = _UNTRUSTED if isinstance(cause, ssl.SSLCertVerificationError) else error.hint
        sentence = f"{error.message[:-1]} at {session.hub.url}{_reason(cause)}. {hint}"
    elif error.code == UNKNOWN_TOKEN or error.status in {401, 403}:
        sentence = asyncio.run(_about_token(session)) or sentence
    raise CallRefused(sentence) from error


async def asked(session: Session, method: str, path: str, **more: Any) -> Any:
    """Return what the client's `ask` returns; raises `ServiceError`."""
    async with session.service() as client:
        return await client.ask(method, path, **more)


async def person_of(session: Session) -> Person:
    """Return whose the session's token is; raises `ServiceError`."""
    async with session.hub_api() as hub:
        return await hub.person()


async def _about_token(session: Session) -> str:
    """Return what is wrong with the token, if it is the token that something is wrong with."""
    page = f"Make one on {session.hub.token_page} with the permissions {' '.join(session.hub.scopes)}, and give it to `binder login`."
    try:
        person = await person_of(session)
    except ServiceError as error:
        return f"{error.message} {page}" if error.code == UNKNOWN_TOKEN else ""
    lacking = [scope for scope in session.hub.scopes if not person.may(scope)]
    return f"The token lacks the permission {' '.join(lacking)}. {page}" if lacking else ""


def _first_cause(error: ServiceError) -> BaseException | None:
    """Return the network's or TLS's own error behind one of ours; None if there is none."""
    cause: BaseException = error
    while cause.__cause__ or cause.__context__:
        cause = cause.__cause__ or cause.__context__ or cause
    return cause if cause is not error else None


def _reason(cause: BaseException | None) -> str:
    """Return why there was no answer, as the network's or TLS's own words say."""
    return f" ({cause})" if cause is not None and str(cause) else ""
