"""What the handlers of older services' APIs share: keys, and bodies that are bounded before anybody is known."""

from __future__ import annotations

import hmac
import json
from typing import Any

from ...builds.access import BUILD_SCOPE, READ_SCOPE
from ...hub_auth import UserNotAllowed
from ...models import Caller
from ..base import ServiceHandler
from ..streamed import StreamedBody

_KEY_OWNER = Caller("service:api-key", scopes=frozenset({BUILD_SCOPE, READ_SCOPE}))


class LegacyHandler(StreamedBody, ServiceHandler):
    """A handler of an older service's API, which says itself who may ask.

    Attributes:
        mount: the path that the API lives at, without a slash at its end.
        body_bytes: how much of a body is kept; one byte more tells that there was more.
    """

    public = True
    body_bytes = 100 * 1024

    def initialize(self, mount: str = "") -> None:
        """Take where the API lives."""
        self.mount = mount
        self._received = bytearray()

    async def admit(self) -> None:
        """Refuse networks that the operator keeps out."""
        self.check_network()

    def data_received(self, chunk: bytes) -> None:
        """Keep what comes, up to one byte more than is allowed."""
        self._received += chunk[: self.body_bytes + 1 - len(self._received)]

    @property
    def body(self) -> bytes:
        """The body, as far as it is kept."""
        return bytes(self._received)

    @property
    def own_path(self) -> str:
        """The request's path below the API's, as the older service saw it."""
        return self.request.path.removeprefix(self.mount) or "/"

    async def caller_with(self, key: str) -> Caller | None:
        """Return who has a key: the operator's own, or a hub API token that may use this service; None if nobody has.

        Raises:
            HTTPError: the hub could not be asked.
        """
        own = self.context.legacy.api_key
        if own and hmac.compare_digest(own.encode(), key.encode(errors="surrogateescape")):
            return _KEY_OWNER
        has_hub = bool(self.hub_auth.api_token)  # else this API is served alone, and nobody else's keys are known
        user = await self.hub_auth.user_for_token(key, sync=False) if key and has_hub else None
        try:
            self.current_user = self.check_hub_user(user) if user else None
        except UserNotAllowed:
            return None
        if not self.current_user:
            return None
        self._account = await self.account_of(self.current_user, key)
        return self.caller

    def answer(self, status: int, content_type: str, text: str) -> None:
        """Finish with a text."""
        self.set_status(status)
        self.set_header("Content-Type", content_type)
        self.finish(text)


def parse_json(body: bytes) -> Any:
    """Return what a body says; of equal keys the last one counts.

    Raises:
        ValueError: it is not JSON; the text says where.
    """
    try:
        return _well_formed(json.loads(body.decode("utf-8", "replace"), parse_constant=_refuse_constant))
    except RecursionError as error:
        raise ValueError("exceeded max depth") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"invalid character {name[0]!r} looking for beginning of value")


def _well_formed(value: Any) -> Any:
    """Return a value whose texts have no half characters, which no database takes."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_well_formed(item) for item in value]
    if isinstance(value, dict):
        return {_well_formed(key): _well_formed(item) for key, item in value.items()}
    return value
