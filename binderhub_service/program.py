"""The command line: without a command the service serves, with ``check`` it tries what it needs."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from .app import BinderService
from .checking import check, take_settings_of_hub
from .serving import Serving

_HUB_CONFIG = "--hub-config"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; without one, serve until a signal says to stop."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    os.umask(0o077)
    if given[:1] == ["check"]:
        sys.exit(_check(given[1:]))
    asyncio.run(Serving(_settings(given)).serve())


def _check(given: list[str]) -> int:
    named = [argument for argument in given if argument.startswith(f"{_HUB_CONFIG}=")]
    for argument in named:
        take_settings_of_hub(Path(argument.partition("=")[2]).absolute())
    return asyncio.run(check(_settings([argument for argument in given if argument not in named])))


def _settings(arguments: list[str]) -> BinderService:
    settings = BinderService.instance()
    settings.initialize(arguments)
    return settings
