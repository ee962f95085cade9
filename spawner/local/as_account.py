"""Tasks in a person's home, done by a process that has become that person's account of this machine before it looks at anything.

    python as_account.py TASK       arguments and answer are JSON, by standard input and output

Run as a program this file imports nothing of a hub: a server's start waits for it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .system_account import SystemAccount

_ANSWER_BYTES = 2**20
_UMASK = 0o077


class CannotBecome(Exception):
    """The account could not do it, and has not said why; the text is a sentence."""


async def as_account(account: SystemAccount, task: str, *arguments: object) -> Any:
    """Have a task of `home_tasks` done by an account; the process ends if nobody waits for it any more.

    The answer is the account's: of the form that JSON has, and not to be trusted.

    Raises:
        NotReady: the task has raised it.
        CannotBecome: the account cannot run this hub's Python, or has given no answer.
    """
    from .home_tasks import NotReady

    # What the hub imports from, wherever that comes from; nothing of the account's own.
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(account.home), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-sP", __file__, task),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_ANSWER_BYTES,
            env=environment,
            umask=_UMASK,
            start_new_session=True,
            **account.popen_kwargs,
        )
    except OSError as error:
        raise CannotBecome(_cannot(account)) from error
    try:
        answer = await _ask(process, json.dumps(arguments))
    except ValueError as error:
        raise CannotBecome(_cannot(account)) from error
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    if "refused" in answer:
        raise NotReady(str(answer["refused"]))
    return answer.get("done")


async def _ask(process: asyncio.subprocess.Process, arguments: str) -> dict[str, Any]:
    """Return what the process answers; raises `ValueError` if that is no answer."""
    if process.stdin is None or process.stdout is None:
        raise ValueError("no pipes")
    with suppress(ConnectionError):  # it has ended, so it has no answer either
        process.stdin.write(f"{arguments}\n".encode())
        await process.stdin.drain()
        process.stdin.close()
    answer = json.loads(await process.stdout.readline())
    if not isinstance(answer, dict):
        raise ValueError("no object")
    return answer


def _cannot(account: SystemAccount) -> str:
    return (
        f"The account {account.name} of this machine cannot run {sys.executable}, or not read the packages of this hub, which its server needs: "
        "an administrator has to let it into their folders."
    )


def main(task: str) -> None:
    """Do a task for the hub that has started this process."""
    package = ModuleType("spawner")  # the package's own start imports all of a hub
    package.__path__ = [str(Path(__file__).parents[1])]
    sys.modules[package.__name__] = package
    from spawner.local import home_tasks

    try:
        answer = {"done": home_tasks.TASKS[task](*json.loads(sys.stdin.readline()))}
    except home_tasks.NotReady as refusal:
        answer = {"refused": str(refusal)}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
