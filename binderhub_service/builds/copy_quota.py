"""How much a person's files may take before no new working copy is made for them."""

from __future__ import annotations

import math

from ..errors import TooMany
from ..models import Account
from ..working_copies import WorkingCopies
from .controls import ControlKind, Controls

_MEGABYTE = 1024**2
_GIGABYTE = 1024**3


class CopyQuota:
    """Refuses new working copies; what is there is started whatever it takes.

    Args:
        copies: people's files, which somebody else measures; None where they are not in the state directory, so that nothing is refused.
        person_bytes: what a person's files may take; 0 for any size.
        counted_every_seconds: how often they are measured.
    """

    def __init__(self, copies: WorkingCopies | None, controls: Controls, person_bytes: int = 0, counted_every_seconds: float = 600) -> None:
        self._copies = copies
        self._controls = controls
        self._person_bytes = person_bytes
        self._counted_every_seconds = counted_every_seconds

    async def check(self, account: Account) -> None:
        """Check that a new working copy may be made for a person, by the sizes that were measured last.

        Raises:
            TooMany: their files take as much as they may.
            Unavailable: the hub did not tell which groups the person is in.
        """
        if self._copies is None:
            return
        megabytes = await self._controls.number_of_person(ControlKind.MEGABYTES_OF_PERSON, account.name, math.ceil(self._person_bytes / _MEGABYTE))
        used = self._copies.bytes_of(account)
        if not megabytes or used < megabytes * _MEGABYTE:
            return
        raise TooMany(
            f"Your files on this hub take {_size(used)}, and {_size(megabytes * _MEGABYTE)} are allowed, so no new working copy is made.",
            code="files_quota",
            hint=(
                "Start a server that you have already, and delete there what you do not need; files are counted every "
                f"{self._counted_every_seconds:g} seconds. An administrator can allow more, or remove a working copy."
            ),
            retry_after_seconds=math.ceil(self._counted_every_seconds),
        )


def _size(size: int) -> str:
    return f"{size / _GIGABYTE:.1f} GB" if size >= _GIGABYTE else f"{size / _MEGABYTE:.0f} MB"
