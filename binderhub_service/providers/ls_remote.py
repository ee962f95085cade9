"""Git servers, asked by ``git ls-remote``: no API, so no quota is spent."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path

from ..clients.relay import Relay, relaying
from ..common.address_rules import ASK_FOR_PUBLIC, AddressRules, not_public
from ..common.addresses import split
from ..common.git_environment import WEB_PROTOCOLS, git_environment, login_options
from ..common.git_messages import TRUST_HINT, reason_in, says_not_there, says_not_trusted
from ..common.refs import full_names
from ..errors import NotAllowed, NotFound, Unavailable
from .addresses import SHA, SHORT_SHA

_MAX_OUTPUT_BYTES = 256 * 1024
_MOST_NAMED = 8


class LsRemote:
    """Asks Git servers which commit a ref is at.

    Args:
        timeout_seconds: how long a Git server may take to answer.
        logins: a file in the format of Git's credential store, for servers that ask who is there.
        rules: which hosts may be asked.
    """

    def __init__(self, timeout_seconds: float = 30, logins: Path | None = None, rules: AddressRules = AddressRules()) -> None:  # noqa: B008  # frozen
        self._timeout_seconds = timeout_seconds
        self._login_options = login_options(logins)
        self.rules = rules

    async def commit_of(self, url: str, ref: str) -> str:
        """Return the commit that `ref` is at: exact names only, branches before tags, annotated tags peeled; a whole SHA as given.

        Raises:
            NotAllowed: the address, or another that it leads to, may not be asked.
            NotFound: the repository or the ref is not there.
            Unavailable: the server did not answer, or not in time.
        """
        if SHA.match(ref.lower()):
            return ref.lower()
        names = ["HEAD"] if ref in {"", "HEAD"} else full_names(ref)
        found = _parse(await self._ls_remote(url, names))
        for name in names:
            if name in found:
                return found[name]
        if names == ["HEAD"]:
            raise _no_head(url, _parse(await self._ls_remote(url, ["refs/heads/*"])))
        raise _ref_not_found(url, ref)

    async def names_among(self, url: str, names: Sequence[str]) -> frozenset[str]:
        """Return which of some short names, e.g. ``feature/x``, are branches or tags of a repository; one question.

        Raises:
            NotAllowed, NotFound, Unavailable: as `commit_of`, of the repository.
        """
        full = {f"refs/{kind}/{name}": name for name in names for kind in ("heads", "tags")}
        found = _parse(await self._ls_remote(url, [*full]))
        return frozenset(name for one, name in full.items() if one in found)

    async def _ls_remote(self, url: str, names: list[str]) -> str:
        """Return what git prints."""
        if not self.rules.public_only:
            return await self._run(url, names)
        if (parts := split(url)) is None or parts.scheme not in WEB_PROTOCOLS:
            raise NotAllowed(f"The address {url} may not be asked here.", code="address_not_allowed", hint="Use an address with https.")
        stack = ExitStack()
        relay = stack.enter_context(relaying(self.rules))
        try:
            return await self._run(url, names, relay)
        except (NotFound, Unavailable) as error:
            if relay.refused:
                raise _not_allowed(url, relay.refused[-1]) from error
            raise
        finally:
            await asyncio.to_thread(stack.close)

    async def _run(self, url: str, names: list[str], relay: Relay | None = None) -> str:
        starting = asyncio.create_task(
            asyncio.create_subprocess_exec(
                "git",
                "-c",
                "http.lowSpeedLimit=1",
                "-c",
                f"http.lowSpeedTime={max(1, int(self._timeout_seconds))}",
                *(relay.git_options if relay else ()),
                *self._login_options,
                "ls-remote",
                "--end-of-options",
                url,
                *names,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=git_environment(os.environ, by_relay=relay is not None),
                start_new_session=True,
            )
        )
        process = await _whole(starting)
        try:
            out, err = await asyncio.wait_for(_output_of(process), self._timeout_seconds)
        except TimeoutError as error:
            raise Unavailable(
                f"The Git server of {url} did not answer within {self._timeout_seconds:g} seconds.",
                code="git_server_timeout",
                hint="Try again; if it stays so, the server or the way to it is down.",
            ) from error
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)  # its transport helper, too
                await process.wait()
        if process.returncode != 0:
            raise _error_from(url, (relay.problem if relay else "") + err.decode(errors="replace"))
        return out.decode(errors="replace")


async def _output_of(process: asyncio.subprocess.Process) -> tuple[bytes, bytes]:
    """Return the beginnings of what a process writes to its output and to its errors, once it has ended."""
    output, errors = await asyncio.gather(_beginning_of(process.stdout), _beginning_of(process.stderr))
    await process.wait()
    return output, errors


async def _beginning_of(stream: asyncio.StreamReader | None) -> bytes:
    """Read a stream to its end and keep a bounded part: a Git server may answer as much as it likes."""
    kept = b""
    while stream and (chunk := await stream.read(_MAX_OUTPUT_BYTES)):
        kept += chunk[: _MAX_OUTPUT_BYTES - len(kept)]
    return kept


async def _whole(starting: asyncio.Task[asyncio.subprocess.Process]) -> asyncio.subprocess.Process:
    """Return the process once it has started; who is cancelled meanwhile waits for that, and kills it: asyncio cannot be stopped half-way."""
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        process = await starting
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        raise


def _parse(output: str) -> dict[str, str]:
    """Return commits by full name; `git ls-remote` matches the ends of names, so there may be others among them."""
    lines = (line.split("\t", 1) for line in output.splitlines())
    return {name: sha for sha, name in (line for line in lines if len(line) == 2) if SHA.match(sha)}


def _not_allowed(url: str, host: str) -> NotAllowed:
    return NotAllowed(f"The address {url} may not be asked here: {not_public(host)}.", code="address_not_allowed", hint=ASK_FOR_PUBLIC)


def _error_from(url: str, stderr: str) -> NotFound | Unavailable:
    if says_not_there(stderr):
        return NotFound(
            f"The repository {url} does not exist or is not public.",
            code="repository_not_found",
            hint="Check the spelling; open the address in a browser where you are not signed in.",
        )
    return Unavailable(
        f"The Git server of {url} could not be asked ({reason_in(stderr)}).",
        code="git_server_unavailable",
        hint=TRUST_HINT if says_not_trusted(stderr) else "Check the address, or try again in a moment.",
    )


def _no_head(url: str, branches: Collection[str]) -> NotFound:
    """Return what is said where the default branch is not there: which branches are."""
    if not branches:
        return NotFound(f"The repository {url} has no commit yet.", code="ref_not_found", hint="Push a commit.")
    names = [name.removeprefix("refs/heads/") for name in sorted(branches)]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return NotFound(
        f"The default branch of the repository {url} is not there.",
        code="ref_not_found",
        hint=f"Name one of its branches: {', '.join(names[:_MOST_NAMED])}{more}.",
    )


def _ref_not_found(url: str, ref: str) -> NotFound:
    if SHORT_SHA.match(ref.lower()):
        return NotFound(
            f"The repository {url} has no branch or tag {ref!r}, and its server finds no commit by a part of its SHA.",
            code="ref_not_found",
            hint="Give the whole SHA of the commit, 40 characters, or the name of a branch or tag.",
        )
    return NotFound(
        f"The repository {url} has no branch or tag {ref!r}.",
        code="ref_not_found",
        hint="Check the spelling (upper and lower case count), leave the ref empty for the default branch, or give a full commit SHA.",
    )
