"""Files that other tools read and embedded mode does not, and what it says about them; pure."""

from __future__ import annotations

from collections.abc import Set

_POETRY = "poetry.lock is not read: the newest versions that pyproject.toml allows are installed"
_NOTES = {
    "poetry.lock": _POETRY,
    "pdm.lock": _POETRY.replace("poetry", "pdm"),
    "pixi.toml": "pixi.toml is not read: name its packages in requirements.txt",
    "pixi.lock": "pixi.lock is not read",
    "conda-lock.yml": "conda-lock.yml is not read",
    "requirements.in": "requirements.in is not read: only requirements.txt is",
    "dev-requirements.txt": "dev-requirements.txt is not read: include it in requirements.txt if it is needed",
    "requirements-dev.txt": "requirements-dev.txt is not read: include it in requirements.txt if it is needed",
    "environment-dev.yml": "environment-dev.yml is not read: only environment.yml is, in other modes than this",
}
_PACKAGES = frozenset({"setup.py", "pyproject.toml"})


def notes(names: Set[str]) -> list[str]:
    """Return a sentence for every file that describes an environment and has no effect.

    Args:
        names: of the files that are there.
    """
    found = [note for name, note in _NOTES.items() if name in names]
    if "setup.cfg" in names and not names & _PACKAGES:
        found.append("setup.cfg alone makes no package: a pyproject.toml or setup.py beside it would")
    return [f"The file {note}." for note in found]
