"""Several observers of builds as one."""

from __future__ import annotations

from ..models import Build
from .scheduler import Observer


class Observers:
    """Several observers as one; they are told in order."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def note_start(self, build: Build) -> None:
        """Tell all that a build's turn has come."""
        for observer in self._observers:
            observer.note_start(build)

    def note_end(self, build: Build) -> None:
        """Tell all that a build has ended."""
        for observer in self._observers:
            observer.note_end(build)
