"""Webhooks of forges: how a forge proves that it may say that a prepared environment's repository has changed; pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from ..models import PreparedEnvironment

_SIGNATURES = ("X-Hub-Signature-256", "X-Gitea-Signature")
_DIGITS = 40


class Hooks:
    """Knows each environment's secret, which is made from the service's own and so stands nowhere.

    Args:
        secret: the service's; with another one, every hook has another secret.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def secret_of(self, environment: PreparedEnvironment) -> str:
        """Return the secret to type into a forge; another one once the environment has another repository."""
        about = f"hook\n{environment.name}\n{environment.repo}".encode()
        return hmac.new(self._secret, about, hashlib.sha256).hexdigest()[:_DIGITS]

    def begin(self, environment: PreparedEnvironment) -> hmac.HMAC:
        """Return what a body is given to as it comes, to know how a forge with the secret signs it."""
        return hmac.new(self.secret_of(environment).encode(), digestmod=hashlib.sha256)

    def is_proven(self, environment: PreparedEnvironment, headers: Mapping[str, str], body: hmac.HMAC) -> bool:
        """Say whether a request comes from somebody who knows the secret: by GitHub's or Gitea's signature, GitLab's token, or a bearer token.

        Args:
            body: of `begin`, with the whole body given to it.
        """
        signed = any(_is_equal(headers.get(name, "").removeprefix("sha256="), body.hexdigest()) for name in _SIGNATURES)
        bearer = headers.get("Authorization", "").partition(" ")[2]
        return signed or any(_is_equal(given, self.secret_of(environment)) for given in (headers.get("X-Gitlab-Token", ""), bearer))


def _is_equal(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), wanted.encode())
