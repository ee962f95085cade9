"""What operators and administrators decide while the service runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .builds import Request


@dataclass(frozen=True)
class Control:
    """What an administrator has switched while the service runs.

    Attributes:
        kind: what it does, a value of `ControlKind`.
        pattern: what it is about; empty where the kind needs none.
        text: the reason that people see, or what is announced; may be empty.
        set_by: the administrator's name.
        set_at: in UTC.
    """

    kind: str
    pattern: str
    text: str
    set_by: str
    set_at: datetime


@dataclass(frozen=True)
class PreparedEnvironment:
    """An environment that is built ahead and kept, for people to pick by its name.

    Attributes:
        name: what links and requests call it.
        description: what people read beside the name; may be empty.
        repo, ref: what it is made from; an empty ref is the default branch.
        profile: the operator's profile that its servers have; empty for none of its own.
        set_by: the administrator's name; empty for an entry of the configuration.
        set_at: in UTC.
        image: the image that servers are made from; empty before the first is there.
        commit: what that image was made from.
        refreshed: when the image was last found to be of the newest commit, or made; in UTC.
        problem: why the last refresh failed, in a sentence; empty if it did not.
    """

    name: str
    repo: str
    set_at: datetime
    ref: str = ""
    description: str = ""
    profile: str = ""
    set_by: str = ""
    image: str = ""
    commit: str = ""
    refreshed: datetime | None = None
    problem: str = ""

    @property
    def request(self) -> Request:
        """What a refresh asks for."""
        return Request(self.repo, self.ref)

    @property
    def is_configured(self) -> bool:
        """Whether it stands in the configuration, so that nothing else changes it."""
        return not self.set_by
