"""People's homes in volumes of an engine: each belongs to one account of the hub, whatever its name is now, and to no later account of that name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from docker.errors import NotFound

from ..account import ACCOUNT_LABEL, HOME_LABEL, HomeOwner


class HomeVolumes:
    """The homes in one engine.

    An engine cannot write on a volume that is there, so one of an earlier version stays without a label.

    Args:
        ask: calls a method of the engine's client by its name; as `DockerSpawner.docker`.
        kind: tells these homes from those of other hubs and other settings in the same engine.
    """

    def __init__(self, ask: Callable[..., Awaitable[Any]], kind: str) -> None:
        self._ask = ask
        self._kind = kind

    async def of(self, account: HomeOwner, usual: str) -> tuple[str, str]:
        """Return the name of the account's volume, which is made if there is none, and what is to be said about it, or nothing.

        Args:
            usual: the name that it has unless a volume of that name is somebody else's.
        """
        if labelled := await self._labelled(account):
            return labelled[0], ""
        found = await self._found(usual)
        if found is not None and _is_of(account, found):
            return usual, ""
        name = usual if found is None else f"{usual}.{account.key}"
        await self._ask("create_volume", name, labels={ACCOUNT_LABEL: account.key, HOME_LABEL: self._kind})
        return name, "" if found is None else account.not_theirs

    async def remove(self, account: HomeOwner, usual: str) -> None:
        """Remove the account's volume, and nobody else's."""
        names = await self._labelled(account)
        found = await self._found(usual)
        if found is not None and usual not in names and _is_of(account, found):
            names.append(usual)
        for name in names:
            await self._ask("remove_volume", name)

    async def _labelled(self, account: HomeOwner) -> list[str]:
        wanted = {"label": [f"{ACCOUNT_LABEL}={account.key}", f"{HOME_LABEL}={self._kind}"]}
        found = await self._ask("volumes", filters=wanted)
        return sorted((volume["Name"] for volume in found.get("Volumes") or ()), key=lambda name: (len(name), name))

    async def _found(self, name: str) -> Mapping[str, Any] | None:
        try:
            found: Mapping[str, Any] = await self._ask("inspect_volume", name)
        except NotFound:
            return None
        return found


def _is_of(account: HomeOwner, volume: Mapping[str, Any]) -> bool:
    return account.owns(str((volume.get("Labels") or {}).get(ACCOUNT_LABEL, "")), _time(volume.get("CreatedAt")))


def _time(text: object) -> datetime | None:
    """Return a time as engines write it, in UTC; None if it is not there or cannot be read, as with volumes of some plugins."""
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
