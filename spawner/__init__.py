"""The spawner: name a repository, land in a server made from it. `configure` adds it all to a hub's configuration."""

from .hub import configure
from .mixin import RepoSpawner
from .process import ProcessSpawner

__all__ = ["ProcessSpawner", "RepoSpawner", "configure"]
