"""The program `binder`."""

from __future__ import annotations

import sys

from binderhub_service.common import quick_imports


def main() -> None:
    """Run the command that the command line names; say so if the extra that brings click and rich is not installed."""
    quick_imports.install()
    try:
        from .commands import binder
    except ModuleNotFoundError as error:
        if error.name not in {"click", "rich"}:
            raise
        sys.exit(f"binder needs the package {error.name}: install binderspawner with its extra `cli`, by pip install '.[cli]' in its clone.")
    binder(prog_name="binder")
