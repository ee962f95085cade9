"""The token with which a start asks the build service as its user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jupyterhub import orm
from jupyterhub.scopes import ScopeNotFound
from jupyterhub.spawner import Spawner

from .log_name import log_name
from .rejection import Rejection

BUILD_SCOPE = "custom:binder:build"
SCOPES = ("access:services!service=binder", BUILD_SCOPE)


@contextmanager
def build_token(spawner: Spawner, lifetime_seconds: int) -> Iterator[str]:
    """Give a token of the spawner's user; it is revoked in the end and expires in any case.

    Raises:
        Rejection: the user may not ask for builds.
    """
    try:
        token = spawner.user.new_api_token(note=f"Build for the server {log_name(spawner)}", expires_in=lifetime_seconds, scopes=list(SCOPES))
    except (ValueError, ScopeNotFound) as error:
        spawner.log.warning("%s may not ask for builds: %s", log_name(spawner), error)
        sentence = "You may not make servers from repositories here. Ask an administrator of this hub for the right to use the service binder."
        raise Rejection(403, sentence) from None
    try:
        yield token
    finally:
        db = spawner.user.db
        if (stored := orm.APIToken.find(db, token)) is not None:
            db.delete(stored)
            db.commit()
