"""Environments that earlier hubs of this process made, for the builds of the next ones to take bytecode from.

A state directory of a test is new; each would have JupyterLab compiled and tried anew, which takes nine seconds of a processor.
"""

from __future__ import annotations

from pathlib import Path

from binderhub_service.images.layout import MADE
from binderhub_service.worker.recipes.tried import MARK_FILE

_MOST = 2
_states: list[Path] = []


def lend_environments(state: Path) -> None:
    """Put links to environments of the last hubs, with a server that is known to start, into a state directory that nothing has used yet."""
    folder = state / "environments"
    if folder.exists():
        return
    made = [mark.parent for other in reversed(_states) for mark in (other / "environments" / MADE).glob(f"*/{MARK_FILE}")]
    _states.append(state)
    if not made:
        return
    state.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir()
    for number, environment in enumerate(made[:_MOST]):
        (folder / f"lent-{number}").symlink_to(environment)
