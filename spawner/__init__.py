"""The spawner: name a repository, land in a server made from it. `configure` adds it all to a hub's configuration."""

from .configure import configure
from .local.spawner import ProcessSpawner
from .mixin import RepoSpawner

__all__ = ["ProcessSpawner", "RepoSpawner", "configure"]
