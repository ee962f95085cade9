"""Builds and events as rows of tables, and back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from ..models import Build, Event, Image, Phase, Source, State


def row_of(build: Build) -> dict[str, Any]:
    """Return a build as its table has it, but for its builder's cursor."""
    source = build.source
    return {
        "id": build.id,
        "provider": source.provider,
        "repo": source.repo,
        "url": source.url,
        "slug": source.slug,
        "ref": source.ref,
        "commit": source.commit,
        "first_of": "\n".join(source.first_of),
        "image": build.image.name,
        "owner": build.owner,
        "created": build.created,
        "force": build.force,
    } | changing_row(build)


def changing_row(build: Build) -> dict[str, Any]:
    """Return what of a build's row changes while it goes on; its image's name does not."""
    return {
        "environment": build.image.environment,
        "digest": build.image.digest,
        "state": build.state.value,
        "phase": build.phase.value,
        "started": build.started,
        "finished": build.finished,
        "error": dict(build.error) if build.error else None,
        "last_event": build.last_event,
    }


def event_row(build: Build, event: Event) -> dict[str, Any]:
    """Return an event as its table has it."""
    return {"build_id": build.id, "number": event.number, "kind": event.kind.value, "data": event.data}


def build_of(row: sa.RowMapping) -> Build:
    """Return the build that a row is."""
    return Build(
        id=row["id"],
        source=_source_from(row),
        image=Image(name=row["image"], environment=row["environment"], digest=row["digest"]),
        state=State(row["state"]),
        phase=Phase(row["phase"]),
        owner=row["owner"],
        created=utc(row["created"]),
        started=row["started"] and utc(row["started"]),
        finished=row["finished"] and utc(row["finished"]),
        error=row["error"],
        last_event=row["last_event"],
        force=row["force"],
    )


def _source_from(row: sa.RowMapping) -> Source:
    named = {name: row[name] for name in ("provider", "repo", "url", "slug", "ref", "commit")}
    return Source(**named, first_of=tuple(row["first_of"].splitlines()))


def utc(time: datetime) -> datetime:
    """Return a stored time with its zone, which SQLite does not keep."""
    return time if time.tzinfo else time.replace(tzinfo=UTC)
