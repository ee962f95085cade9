"""What a server is called in the hub's log."""

from __future__ import annotations

from jupyterhub.spawner import Spawner


def log_name(spawner: Spawner) -> str:
    """Return ``user`` or ``user:server``, as the hub writes it; the hub's own way to say it is private."""
    return f"{spawner.user.name}:{spawner.name}" if spawner.name else str(spawner.user.name)
