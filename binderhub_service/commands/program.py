"""The command line: without a command the service serves, with ``serve NAME`` an older service's API alone, with ``check`` it tries what it needs.

The other commands are those of `administration` and `state_commands`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from ..app import BinderService
from ..process.api_port import is_served, pass_on, socket_of
from ..serving import ApiPort, Serving
from ..settings import LegacyApis
from ..settings.legacy import API_NAMES
from . import administration, state_commands
from .checking import check, take_settings_of_hub

_HUB_CONFIG = "--hub-config"


def run(given: list[str]) -> None:
    """Run a command; without one, serve until a signal says to stop."""
    if given[:1] == ["check"]:
        sys.exit(_check(given[1:]))
    if given[:1] == ["serve"]:
        sys.exit(_serve_alone(given[1:]))
    if given and given[0] in administration.COMMANDS:
        sys.exit(administration.run(given[0], given[1:], _settings_of_command))
    if given and given[0] in state_commands.COMMANDS:
        sys.exit(state_commands.run(given[0], given[1:], _settings_of_command))
    if given and not given[0].startswith("-"):
        known = ", ".join(["check", "serve", *administration.COMMANDS, *state_commands.COMMANDS])
        sys.stderr.write(f"There is no command {given[0]!r}; the commands are: {known}.\n")
        sys.exit(2)
    asyncio.run(Serving(settings_of(given)).serve())


def _check(given: list[str]) -> int:
    return asyncio.run(check(_settings_of_command(given)))


def _settings_of_command(given: list[str]) -> BinderService:
    """Return the settings of a command beside the service, which may be those that a hub's file gives it."""
    named = [argument for argument in given if argument.startswith(f"{_HUB_CONFIG}=")]
    for argument in named:
        take_settings_of_hub(Path(argument.partition("=")[2]).absolute())
    return settings_of([argument for argument in given if argument not in named])


def _serve_alone(given: list[str]) -> int:
    """Serve an older service's API on a port: by the service that runs with this state, or else by being it; return the exit status."""
    parser = argparse.ArgumentParser(prog="binderhub-service serve", description="Serve an older service's API alone on a port.", allow_abbrev=False)
    parser.add_argument("name", choices=API_NAMES)
    parser.add_argument("--port", type=int, required=True, help="the port")
    parser.add_argument("--ip", default="127.0.0.1", help="the address to listen at (127.0.0.1)")
    arguments, of_service = parser.parse_known_args(given)
    settings = settings_of(of_service)
    socket = socket_of(settings.state, arguments.name)
    try:
        if asyncio.run(is_served(socket)):
            settings.log.info("Passing on port %d to %s of the service that runs with %s", arguments.port, arguments.name, settings.state)
            asyncio.run(pass_on(socket, arguments.ip, arguments.port))
    except KeyboardInterrupt:
        return 0
    except (OSError, OverflowError) as error:
        parser.error(f"port {arguments.port} of {arguments.ip} cannot be had: {error}")
    legacy = LegacyApis(parent=settings).legacy_settings()
    is_open = arguments.name == "boatyard" and legacy.boatyard_open
    if not (legacy.api_key or is_open or os.environ.get("JUPYTERHUB_API_TOKEN")):
        sys.stderr.write("Environment variable BINDER_API_KEY must be non-empty\n")
        return 2
    asyncio.run(Serving(settings, ApiPort(arguments.name, arguments.ip, arguments.port)).serve())
    return 0


def settings_of(arguments: list[str]) -> BinderService:
    """Return the service's settings, from the command line, a file and the hub."""
    settings = BinderService.instance()
    settings.initialize(arguments)
    return settings
