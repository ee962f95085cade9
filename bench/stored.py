"""Databases that hold many builds already."""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from binderhub_service.store import schema
from binderhub_service.store.store import Store

EVENTS_EACH = 5
PEOPLE = 50
REPOSITORIES = 200
FIRST = datetime(2025, 1, 1, tzinfo=UTC)
_AT_ONCE = 5_000


def fill(file: Path, count: int) -> None:
    """Make a database with `count` builds that have ended, each with a short event log and two requesters; one in a hundred failed.

    The first ten builds are alike in every database: alice's, of the repository number 0, and the second half of them
    failed, so that every kind of list has five entries at least. Somebody called everybody asked for all builds.
    """
    asyncio.run(_make(file))
    engine = sa.create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        for start in range(0, count, _AT_ONCE):
            rows = [_build(number) for number in range(start, min(count, start + _AT_ONCE))]
            connection.execute(schema.builds.insert(), rows)
            requesters = [{"name": name, "build_id": row["id"], "wants": True} for row in rows for name in (row["owner"], "everybody")]
            connection.execute(schema.requesters.insert(), requesters)
            connection.execute(schema.images.insert(), [{"name": row["image"], "last_used": row["created"]} for row in rows])
            connection.execute(schema.events.insert(), [event for row in rows for event in _events(row["id"])])
    engine.dispose()


async def _make(file: Path) -> None:
    store = Store(f"sqlite:///{file}")
    await store.open()
    await store.close()


def build_id(number: int) -> str:
    """Return the id of the build of this number."""
    created = FIRST + timedelta(minutes=number)
    return f"{int(created.timestamp() * 1000):011x}{number:08x}"


def _build(number: int) -> dict[str, Any]:
    created = FIRST + timedelta(minutes=number)
    first_ten = number < 10
    repo = f"https://git.example.org/bench/{0 if first_ten else number % REPOSITORIES}"
    commit = hashlib.sha1(str(number).encode(), usedforsecurity=False).hexdigest()
    failed = number >= 5 if first_ten else number % 100 == 9
    return {
        "id": build_id(number),
        "provider": "git",
        "repo": repo,
        "url": repo,
        "slug": repo,
        "ref": "main",
        "commit": commit,
        "image": f"image-{commit}",
        "environment": commit,
        "state": "failed" if failed else "ready",
        "phase": "building" if failed else "done",
        "owner": "alice" if first_ten else f"person-{number % PEOPLE}",
        "created": created,
        "started": created,
        "finished": created + timedelta(seconds=30),
        "error": {"code": "post_build_failed", "message": "It failed.", "hint": ""} if failed else None,
        "force": False,
        "last_event": EVENTS_EACH,
        "cursor": "",
    }


def _events(of: str) -> list[dict[str, Any]]:
    log = [{"build_id": of, "number": number, "kind": "log", "data": json.dumps({"text": f"line {number}"})} for number in range(1, EVENTS_EACH)]
    return [*log, {"build_id": of, "number": EVENTS_EACH, "kind": "end", "data": json.dumps({"state": "ready"})}]
