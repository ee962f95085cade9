"""The commands of `binder`, by click; what they show, by rich."""

from __future__ import annotations

import click

from .builds import build, builds, cancel, log
from .calling import Named
from .completion import completion
from .controls import control, drain, resume
from .lists import images, templates
from .login import login
from .prepared import prepared
from .servers import launch, open_server, stop


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--hub", default="", metavar="URL", help="The hub's address; else that of BINDER_HUB, else that of `binder login`.")
@click.option("--token", default="", help="A token of the hub. Other users of this machine can see it here: rather set BINDER_TOKEN.")
@click.version_option(package_name="binderspawner")
@click.pass_context
def binder(context: click.Context, hub: str, token: str) -> None:
    """Build images of repositories and launch servers from them, on a JupyterHub.

    \b
    Exit status: 0 if all went well; 1 if a build failed or was cancelled;
    2 if the command line or the configuration cannot be used;
    3 if the hub or its build service refuses or does not answer;
    130 after Ctrl-C.
    """
    context.obj = Named(hub, token)


for command in (build, builds, cancel, completion, control, drain, images, launch, log, login, open_server, prepared, resume, stop, templates):
    binder.add_command(command)
