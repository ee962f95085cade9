"""The start of the service's process: it answers first and imports its code then.

A hub asks a service that it starts ten times, a second apart, and ends when that does not answer (JupyterHub 5's app.py, start_service). The code
and the libraries take some seconds of a processor, which a busy machine may not have for a while.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from .common import quick_imports
from .process.hub_variables import address_of_service, is_started_by_hub, prefix_of_service
from .process.server import answer_early

if TYPE_CHECKING:
    from .process.server import Listening


_BROKEN_SECONDS = 30.0
"""For how long a service that cannot be imported says so, before it ends and its hub starts another one."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; without one, serve until a signal says to stop."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    os.umask(0o077)
    quick_imports.install()
    is_command = bool(given) and not given[0].startswith("-")
    if is_started_by_hub() and not is_command:
        with suppress(KeyboardInterrupt):  # the hub has stopped before the service has begun
            asyncio.run(_serve(given))
    else:
        from .commands.program import run

        run(given)


async def _serve(given: list[str]) -> None:
    """Answer at once, and serve when the code is imported and the settings are read; say so where that cannot be."""
    early = answer_early(prefix_of_service(), *address_of_service())
    try:
        serve = await asyncio.to_thread(_imported, given)
    except ImportError as error:
        early.listener.wait_because(f"The service cannot start, because its installation is not whole: {error}. Install it again.")
        await asyncio.sleep(_BROKEN_SECONDS)
        sys.exit(1)
    await serve(early)


def _imported(given: list[str]) -> Callable[[Listening], Coroutine[None, None, None]]:
    from .commands.program import settings_of
    from .serving import Serving

    settings = settings_of(given)
    return lambda early: Serving(settings, early=early).serve()
