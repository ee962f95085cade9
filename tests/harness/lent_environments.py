"""Environments that earlier hubs of this process made, for the builds of the next ones to take bytecode from.

A state directory of a test is new; each would have JupyterLab compiled and tried anew, which takes nine seconds of a processor.
"""

from __future__ import annotations

from pathlib import Path

from binderhub_service.images.layout import MADE

_MOST = 2
_states: list[Path] = []


def lend_environments(state: Path) -> None:
    """Put links to the newest environments with a server that is known to start into a state directory that nothing has used yet."""
    folder = state / "environments"
    if folder.exists():
        return
    made = sorted((path for other in _states for path in (other / "environments" / MADE).glob("*/.tried")), key=lambda path: -path.stat().st_mtime)
    _states.append(state)
    if not made:
        return
    state.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir()
    for number, mark in enumerate(made[:_MOST]):
        (folder / f"lent-{number}").symlink_to(mark.parent)
