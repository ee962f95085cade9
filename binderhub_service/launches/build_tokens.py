"""Build tokens, by which a page of this service asks ``/build``; as BinderHub makes them.

Facts: a JWT signed by HS256, with the claims ``exp``, ``aud`` (what may be asked, as it stands in the address) and ``origin`` (a host and a port).
"""

from __future__ import annotations

import time

import jwt

from ..errors import NotAllowed

_ALGORITHM = "HS256"
_RESUMED_SECONDS = 86_400
SECRET_BYTES = 32


class BuildTokens:
    """Makes and checks build tokens.

    Args:
        secret: at least `SECRET_BYTES` long; services that share it take each other's tokens.
        seconds: how long a token lasts.
        checks_origin: whether a token is good for pages of the host alone that it was made at.
        required: whether visitors may ask without one.
    """

    def __init__(self, secret: bytes, *, seconds: float = 300, checks_origin: bool = True, required: bool = False) -> None:
        self._secret = secret
        self._seconds = seconds
        self._checks_origin = checks_origin
        self.required = required

    def new(self, asked: str, origin: str) -> str:
        """Return a token.

        Args:
            asked: the provider and the spec with the escapes that the address has, e.g. ``gh/user/repo/HEAD``.
            origin: the host, and the port if it is not the usual one, of the page that will ask.
        """
        return jwt.encode({"exp": int(time.time() + self._seconds), "aud": asked, "origin": origin}, self._secret, _ALGORITHM)

    def check(self, token: str, asked: str, origin: str, *, is_resumed: bool = False) -> None:
        """Raise `NotAllowed` unless a token was made for what is asked, and for the page that asks.

        Args:
            is_resumed: whether the client asks for what it has asked for already; then the token may have ended meanwhile.
        """
        leeway = _RESUMED_SECONDS if is_resumed else 0
        try:
            claims = jwt.decode(token, self._secret, [_ALGORITHM], {"require": ["exp", "aud"]}, audience=asked, leeway=leeway)
        except jwt.PyJWTError as error:
            raise NotAllowed("Invalid build token") from error
        if self._checks_origin and claims.get("origin") != origin:
            raise NotAllowed("Invalid build token")
