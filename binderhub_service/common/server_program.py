"""The command that starts a server in a Python environment of ours."""

from __future__ import annotations

from pathlib import Path

from . import quick_imports

SINGLEUSER = "jupyterhub-singleuser"
_FIRST_LINE_BYTES = 256


def server_command(environment: Path) -> list[str]:
    """Return the command of an environment's server, which imports quickly if its program is a script of the environment's own Python.

    Args:
        environment: the environment's folder, as its programs name it.
    """
    program = environment / "bin" / SINGLEUSER
    python = environment / "bin" / "python"
    try:
        with program.open("rb") as opened:
            begins = opened.read(_FIRST_LINE_BYTES)
    except OSError:
        begins = b""
    if begins.startswith(f"#!{python}".encode()):
        return [str(python), quick_imports.__file__, str(program)]
    return [str(program)]
