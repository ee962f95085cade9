"""Git servers, asked by ``git ls-remote``: no API, so no quota is spent."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from pathlib import Path

from ..common.git_environment import git_environment, login_options
from ..errors import NotFound, Unavailable
from .addresses import SHA

_MAX_OUTPUT_BYTES = 256 * 1024
_NOT_THERE = re.compile(
    r"not found|does not exist|not appear to be a git repository|could not read (?:Username|Password)|Authentication failed"
    r"|Permission denied|error: 40[134]|access denied|not exported",
    re.IGNORECASE,
)

_REASON = re.compile(
    r"error: [1-5]\d\d\b|Could not resolve host|Connection refused|Connection reset|Connection timed out|Empty reply"
    r"|SSL certificate problem|unexpected disconnect|early EOF|Failed to connect|No route to host|Network is unreachable",
    re.IGNORECASE,
)


class LsRemote:
    """Asks Git servers which commit a ref is at.

    Args:
        timeout_seconds: how long a Git server may take to answer.
        logins: a file in the format of Git's credential store, for servers that ask who is there.
    """

    def __init__(self, timeout_seconds: float = 30, logins: Path | None = None) -> None:
        self._timeout_seconds = timeout_seconds
        self._login_options = login_options(logins)

    async def commit_of(self, url: str, ref: str) -> str:
        """Return the commit that `ref` is at: exact names only, branches before tags, annotated tags peeled.

        Raises:
            NotFound: the repository or the ref is not there.
            Unavailable: the server did not answer, or not in time.
        """
        if SHA.match(ref):
            return ref
        names = ["HEAD"] if ref in {"", "HEAD"} else _candidates(ref)
        found = _parse(await self._ls_remote(url, names))
        for name in names:
            if name in found:
                return found[name]
        raise _ref_not_found(url, ref)

    async def _ls_remote(self, url: str, names: list[str]) -> str:
        starting = asyncio.create_task(
            asyncio.create_subprocess_exec(
                "git",
                "-c",
                "http.lowSpeedLimit=1",
                "-c",
                f"http.lowSpeedTime={max(1, int(self._timeout_seconds))}",
                *self._login_options,
                "ls-remote",
                "--end-of-options",
                url,
                *names,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=git_environment(os.environ),
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
            raise _error_from(url, err.decode(errors="replace"))
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


def _candidates(ref: str) -> list[str]:
    """Return the full names that a ref may mean, best first; ``^{}`` is an annotated tag's commit."""
    if ref.startswith("refs/"):
        return [f"{ref}^{{}}", ref]
    return [f"refs/heads/{ref}", f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}"]


def _parse(output: str) -> dict[str, str]:
    """Return commits by full name; `git ls-remote` matches the ends of names, so there may be others among them."""
    lines = (line.split("\t", 1) for line in output.splitlines())
    return {name: sha for sha, name in (line for line in lines if len(line) == 2) if SHA.match(sha)}


def _error_from(url: str, stderr: str) -> NotFound | Unavailable:
    if _NOT_THERE.search(stderr):
        return NotFound(
            f"The repository {url} does not exist or is not public.",
            code="repository_not_found",
            hint="Check the spelling; open the address in a browser where you are not signed in.",
        )
    return Unavailable(
        f"The Git server of {url} could not be asked ({_reason_in(stderr)}).",
        code="git_server_unavailable",
        hint="Check the address, or try again in a moment.",
    )


def _reason_in(stderr: str) -> str:
    """Return why git could not ask, in git's words for what it knows; what the other side sent is repeated to nobody."""
    known = _REASON.search(stderr)
    return known[0] if known else "it did not answer as a Git server does"


def _ref_not_found(url: str, ref: str) -> NotFound:
    if not ref or ref == "HEAD":
        return NotFound(f"The repository {url} has no commit yet.", code="ref_not_found", hint="Push a commit, or name a branch that has one.")
    return NotFound(
        f"The repository {url} has no branch or tag {ref!r}.",
        code="ref_not_found",
        hint="Check the spelling (upper and lower case count), leave the ref empty for the default branch, or give a full commit SHA.",
    )
