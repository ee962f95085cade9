"""Builds, their event logs and who asked for them, in SQL: SQLite in a file, or any database that SQLAlchemy speaks to.

Everything runs on one thread beside the event loop, so the order of calls is the order of their effects.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from cachetools import LRUCache
from sqlalchemy.exc import DataError, DBAPIError

from ..errors import InvalidRequest, Unavailable
from ..models import Batch, Build, Event, Image, Kind, Phase, Source, State
from .calls import Calls
from .engine import Database, is_full
from .lease import Lease
from .schema import builds, events, images, requesters

_UNFINISHED = (State.QUEUED.value, State.RUNNING.value)
_SCHEMA_HEAD = "0012"
_TYPICAL_BUILDS = 10
_KEPT_USES = 10_000
LIMIT_SECONDS = 20.0
_CHECK_SECONDS = 3.0
_MIGRATION_SECONDS = 1800.0
_HINT = "Try again in a moment; nothing was lost."
T = TypeVar("T")
log = logging.getLogger("binderhub_service")


class Store:
    """The service's memory.

    Args:
        url: an SQLAlchemy URL, e.g. ``sqlite:///service.sqlite`` or ``postgresql+psycopg://user@host/name``.
        on_answer: called with the seconds that every answer took.
        limit_seconds: how long a call may wait and take together.

    Every method raises `Unavailable` when the database cannot be asked; then nothing of the call has happened.
    """

    def __init__(self, url: str, on_answer: Callable[[float], None] = lambda seconds: None, limit_seconds: float = LIMIT_SECONDS) -> None:
        self._lease = Lease()
        self._database = Database(url, limit_seconds, self._lease.take)
        self._engine = self._database.engine
        self._calls = Calls(self._database.cut)
        self._limit_seconds = limit_seconds
        self._on_answer = on_answer
        self._uses: LRUCache[str, datetime] = LRUCache(_KEPT_USES)
        self._closed = False
        self._problem = ""

    @property
    def lost(self) -> bool:
        """Whether another service has taken the database over; then nothing can be read or written any more."""
        return self._lease.lost

    @property
    def file(self) -> Path | None:
        """The file that the database is, if it is SQLite's."""
        name = self._engine.url.database
        is_file = self._engine.dialect.name == "sqlite" and name and not name.startswith((":", "file:"))
        return Path(name).absolute() if name and is_file else None

    async def open(self) -> None:
        """Bring the schema, and what the database knows about the size of its tables, up to date; from then on it is this store's.

        Raises:
            Unavailable: the database cannot be asked, or another service uses it.
        """
        if not await self._run(lambda: _is_current(self._engine)):
            await self._run(lambda: _migrate(self._engine), _MIGRATION_SECONDS)
        if self._database.is_postgresql:
            await self._run(lambda: self._lease.begin(self._engine))
        await self.analyze()

    async def analyze(self) -> None:
        """Let the database look at the size of its tables, so that it chooses the right indexes; takes milliseconds."""
        await self._run(lambda: _analyze(self._engine))

    async def close(self) -> None:
        """Finish what was asked and close the database; later calls find it unavailable."""
        await self._run(self._engine.dispose, _MIGRATION_SECONDS)
        self._closed = True
        self._calls.close()

    async def check(self) -> None:
        """Raise `Unavailable` unless the database answers soon."""
        await self._run(lambda: _select_one(self._engine), min(self._limit_seconds, _CHECK_SECONDS))

    async def check_schema(self) -> None:
        """Raise `Unavailable` unless the database answers, and is new or of a schema that this version knows; nothing is changed."""
        await self._run(lambda: _check_schema(self._engine))

    async def check_write(self) -> None:
        """Raise `Unavailable` unless something can be written soon; nothing of it stays."""
        await self._run(lambda: _write_something(self._engine), min(self._limit_seconds, _CHECK_SECONDS))

    async def reusable_bytes(self) -> int:
        """Return how much of its file SQLite will use again before it takes more of the disk; 0 for other databases."""
        return await self._run(lambda: _free_pages_bytes(self._engine)) if self._engine.dialect.name == "sqlite" else 0

    async def create(self, build: Build, requester: str = "") -> None:
        """Add a build and its first requester.

        Args:
            requester: the account's key; by default the owner's name.
        """

        def transaction(connection: sa.Connection) -> None:
            connection.execute(builds.insert().values(_row_from(build) | {"cursor": ""}))
            connection.execute(requesters.insert().values(name=requester or build.owner, build_id=build.id, wants=True))

        await self._write(transaction)

    async def record(self, build: Build, new_events: Sequence[Event], cursor: str) -> None:
        """Store the build as it is now together with the events that made it so, all or nothing.

        Events that are stored already are left alone: the answer to an earlier call may have been lost.
        """

        def transaction(connection: sa.Connection) -> None:
            known = connection.execute(sa.select(builds.c.last_event).where(builds.c.id == build.id)).scalar_one()
            rows = [_event_row(build, event) for event in new_events if event.number > known]
            log_bytes = sum(len(row["data"]) for row in rows if row["kind"] == Kind.LOG.value)
            more = {"cursor": cursor, "log_bytes": builds.c.log_bytes + log_bytes}
            connection.execute(builds.update().where(builds.c.id == build.id).values(_row_from(build) | more))
            if rows:
                connection.execute(events.insert(), rows)

        await self._write(transaction)

    async def get(self, build_id: str) -> Build | None:
        """Return a build, or None if no build has this id."""
        rows = await self._read(sa.select(builds).where(builds.c.id == build_id))
        return _build_from(rows[0]) if rows else None

    async def newest_ready(self, image: str) -> Build | None:
        """Return the newest build that made an image, or None."""
        query = sa.select(builds).where(builds.c.image == image, builds.c.state == State.READY.value).order_by(builds.c.id.desc()).limit(1)
        rows = await self._read(query)
        return _build_from(rows[0]) if rows else None

    async def unfinished(self) -> list[tuple[Build, str]]:
        """Return all builds that have not ended, oldest first, each with the cursor of its builder's last stored report."""
        rows = await self._read(sa.select(builds).where(builds.c.state.in_(_UNFINISHED)).order_by(builds.c.id))
        return [(_build_from(row), row["cursor"]) for row in rows]

    async def typical_seconds(self, repo: str) -> float | None:
        """Return how long builds of a repository took lately, else all builds; None if there was none."""
        for where in ([builds.c.repo == repo], []):
            query = (
                sa.select(builds.c.started, builds.c.finished)
                .where(builds.c.state == State.READY.value, builds.c.started < builds.c.finished, *where)
                .order_by(builds.c.id.desc())
                .limit(_TYPICAL_BUILDS)
            )
            took: list[float] = [(row["finished"] - row["started"]).total_seconds() for row in await self._read(query)]
            if took:
                return sum(took) / len(took)
        return None

    async def newest(self, *, requester: str | None, filters: Mapping[str, str], before: str | None, limit: int) -> list[Build]:
        """Return builds, newest first.

        Args:
            requester: only builds that the account of this key asked for; None for everybody's.
            filters: wanted values of the columns ``state``, ``repo`` and ``owner``.
            before: only builds older than the one of this id.
        """
        query = sa.select(builds).where(*(builds.c[column] == value for column, value in filters.items()))
        newest = builds.c.id
        if requester is not None:
            query = query.join(requesters, requesters.c.build_id == builds.c.id).where(requesters.c.name == requester)
            newest = requesters.c.build_id
        if before:
            query = query.where(newest < before)
        return [_build_from(row) for row in await self._read(query.order_by(newest.desc()).limit(limit))]

    async def events(self, build_id: str, after: int, limit: int) -> Batch:
        """Return at most `limit` events of an event log, from the one numbered `after` + 1 on."""
        query = sa.select(events).where(events.c.build_id == build_id, events.c.number > after).order_by(events.c.number).limit(limit)
        return Batch(Event(number=row["number"], kind=Kind(row["kind"]), data=row["data"]) for row in await self._read(query))

    async def log_bytes(self, build_id: str) -> int:
        """Return how much log of a build is stored, as JSON."""
        rows = await self._read(sa.select(builds.c.log_bytes).where(builds.c.id == build_id))
        return int(rows[0]["log_bytes"]) if rows else 0

    async def drop_logs(self, before: datetime, limit: int) -> int:
        """Drop the event logs of builds that ended before a time, but for their last event; return how many builds that were.

        Args:
            limit: at most so many builds at once.
        """
        with_logs = sa.exists().where(events.c.build_id == builds.c.id, events.c.kind != Kind.END.value)
        rows = await self._read(sa.select(builds.c.id).where(builds.c.finished < before, with_logs).limit(limit))
        await self._drop_logs_of([row["id"] for row in rows])
        return len(rows)

    async def drop_oldest_logs(self, keep_bytes: int, limit: int) -> int:
        """Drop the event logs of builds that ended first, but for their last event, until all logs together are small enough.

        Args:
            keep_bytes: how much log may stay, as JSON; the logs of builds that go on count, and stay.
            limit: at most so many builds at once.

        Returns:
            Of how many builds the log was dropped.
        """
        total = int((await self._read(sa.select(sa.func.coalesce(sa.func.sum(builds.c.log_bytes), 0).label("bytes"))))[0]["bytes"])
        if total <= keep_bytes:
            return 0
        query = sa.select(builds.c.id, builds.c.log_bytes).where(builds.c.finished.is_not(None), builds.c.log_bytes > 0)
        ids = []
        for row in await self._read(query.order_by(builds.c.finished).limit(limit)):
            if total > keep_bytes:
                ids.append(row["id"])
                total -= row["log_bytes"]
        await self._drop_logs_of(ids)
        return len(ids)

    async def _drop_logs_of(self, ids: Sequence[str]) -> None:
        def transaction(connection: sa.Connection) -> None:
            connection.execute(events.delete().where(events.c.build_id.in_(ids), events.c.kind != Kind.END.value))
            connection.execute(builds.update().where(builds.c.id.in_(ids)).values(log_bytes=0))

        if ids:
            await self._write(transaction)

    async def forget_builds(self, before: datetime, limit: int) -> int:
        """Forget builds that ended before a time, with their event logs and requesters; return how many that were.

        The newest build that made an image stays as long as the image is known: launches find the image by it.

        Args:
            limit: at most so many builds at once.
        """
        newer = builds.alias()
        is_newest = ~sa.exists().where(newer.c.image == builds.c.image, newer.c.state == State.READY.value, newer.c.id > builds.c.id)
        is_needed = sa.and_(builds.c.state == State.READY.value, sa.exists().where(images.c.name == builds.c.image), is_newest)
        rows = await self._read(sa.select(builds.c.id).where(builds.c.finished < before, ~is_needed).limit(limit))
        ids = [row["id"] for row in rows]
        if ids:  # the rest of them goes by cascade
            await self._write(lambda connection: _execute(connection, builds.delete().where(builds.c.id.in_(ids))))
        return len(ids)

    async def note_use(self, image: str, moment: datetime, at_most_every_seconds: float) -> None:
        """Note that an image was asked for, unless that was noted a moment ago."""
        known = self._uses.get(image)
        if known and (moment - known).total_seconds() < at_most_every_seconds:
            return

        def transaction(connection: sa.Connection) -> None:
            if not connection.execute(images.update().where(images.c.name == image).values(last_used=moment)).rowcount:
                connection.execute(images.insert().values(name=image, last_used=moment))

        await self._write(transaction)
        self._uses[image] = moment

    async def uses(self) -> dict[str, datetime]:
        """Return when images were last asked for, by name."""
        return {row["name"]: utc(row["last_used"]) for row in await self._read(sa.select(images))}

    async def forget_use(self, image: str) -> None:
        """Forget an image that is gone."""
        await self._write(lambda connection: _execute(connection, images.delete().where(images.c.name == image)))
        self._uses.pop(image, None)

    async def requesters(self, build_id: str) -> dict[str, bool]:
        """Return the keys of all accounts that asked for a build, and whether they still want it."""
        rows = await self._read(sa.select(requesters).where(requesters.c.build_id == build_id))
        return {row["name"]: row["wants"] for row in rows}

    async def set_requester(self, build_id: str, name: str, *, wants: bool) -> None:
        """Note that somebody asked for a build, or does not want it any more."""
        where = sa.and_(requesters.c.build_id == build_id, requesters.c.name == name)

        def transaction(connection: sa.Connection) -> None:
            if not connection.execute(requesters.update().where(where).values(wants=wants)).rowcount:
                connection.execute(requesters.insert().values(build_id=build_id, name=name, wants=wants))

        await self._write(transaction)

    async def adopt(self, name: str, key: str, since: datetime) -> None:
        """Give an account what is stored under its name alone, but for builds from before a time."""
        asked = sa.select(requesters.c.build_id).join(builds, builds.c.id == requesters.c.build_id)
        await self._write(lambda connection: _give(connection, asked.where(requesters.c.name == name, builds.c.created >= since), name, key))

    async def adopt_between(self, after: str, before: str, key: str) -> None:
        """Give an account what is stored under keys between two others that name the same; databases sort names in ways of their own."""
        name = key.rpartition("/")[0]
        keys = sa.select(requesters.c.name).where(requesters.c.name > after, requesters.c.name < before, requesters.c.name != key).distinct()
        for row in await self._read(keys):
            if row["name"].rpartition("/")[0] == name:
                await self.rename_requester(row["name"], key)

    async def rename_requester(self, former: str, key: str) -> None:
        """Give an account that has another key now what is stored under the former."""
        asked = sa.select(requesters.c.build_id).where(requesters.c.name == former)
        await self._write(lambda connection: _give(connection, asked, former, key))

    async def read(self, query: sa.Select[Any]) -> Sequence[sa.RowMapping]:
        """Return the rows of a query, for tables that have a file of their own in this folder."""
        return await self._read(query)

    async def write(self, transaction: Callable[[sa.Connection], None]) -> None:
        """Run a transaction, for tables that have a file of their own in this folder; what it raises undoes it."""
        await self._write(transaction)

    async def _read(self, query: sa.Select[Any]) -> Sequence[sa.RowMapping]:
        def read() -> Sequence[sa.RowMapping]:
            with self._engine.connect() as connection:
                return connection.execute(query).mappings().all()

        return await self._run(read)

    async def _write(self, transaction: Callable[[sa.Connection], None]) -> None:
        def write() -> None:
            with self._engine.begin() as connection:
                transaction(connection)

        await self._run(write)

    async def _run(self, work: Callable[[], T], limit_seconds: float | None = None) -> T:
        if self._closed:
            raise Unavailable("The service is stopping.", code="store_unavailable", hint=_HINT)
        begun = time.perf_counter()
        try:
            return await self._calls.run(work, self._limit_seconds if limit_seconds is None else limit_seconds)
        except DataError as error:
            raise InvalidRequest("The database cannot hold or look for such a value.") from error
        except DBAPIError as error:
            self._note(str(error.orig).strip().partition("\n")[0])
            if is_full(error):
                raise Unavailable(
                    "The disk of the service's database is full.", code="disk_full", hint="Ask an administrator to make space, then ask again."
                ) from error
            raise Unavailable("The service's database did not answer.", code="store_unavailable", hint=_HINT) from error
        finally:
            self._on_answer(time.perf_counter() - begun)

    def _note(self, problem: str) -> None:
        """Let the log have the driver's own words about a problem, once; they may name hosts and users, which people need not know."""
        if problem != self._problem:
            log.warning("The database's driver says: %s", problem)
        self._problem = problem


def _give(connection: sa.Connection, asked: sa.Select[tuple[str]], former: str, key: str) -> None:
    """Let another key have asked for builds; where it has already, what it wants stays."""
    has = sa.select(requesters.c.build_id).where(requesters.c.name == key)
    given, had = set(connection.scalars(asked)), set(connection.scalars(has))
    row = sa.and_(requesters.c.name == former, requesters.c.build_id == sa.bindparam("given"))
    for statement, ids in ((requesters.update().where(row).values(name=key), given - had), (requesters.delete().where(row), given & had)):
        if ids:
            connection.execute(statement, [{"given": build_id} for build_id in sorted(ids)])


def _execute(connection: sa.Connection, statement: sa.Delete) -> None:
    connection.execute(statement)


def _select_one(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        connection.execute(sa.select(sa.literal(1)))


def _write_something(engine: sa.Engine) -> None:
    """Write a row and remove it: a transaction that is rolled back may never reach the disk. A database without tables is left alone."""
    with engine.begin() as connection:
        if not sa.inspect(connection).has_table(images.name):
            return
        connection.execute(images.insert().values(name="", last_used=datetime.now(UTC)))
        connection.execute(images.delete().where(images.c.name == ""))


def _free_pages_bytes(engine: sa.Engine) -> int:
    with engine.connect() as connection:
        count, size = (int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()) for name in ("freelist_count", "page_size"))
        return count * size


def _is_current(engine: sa.Engine) -> bool:
    return _schema_of(engine) == _SCHEMA_HEAD


def _schema_of(engine: sa.Engine) -> str | None:
    """Return the number of the schema that a database has; None for a new one."""
    with engine.connect() as connection:
        known = sa.inspect(connection).has_table("alembic_version")
        return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() if known else None


def _check_schema(engine: sa.Engine) -> None:
    schema = _schema_of(engine)
    if schema and schema > _SCHEMA_HEAD:
        raise _newer_schema()


def _newer_schema() -> Unavailable:
    sentence = "The service's database was made by a newer version of this service, so this version does not use it."
    return Unavailable(sentence, code="service_starting", hint="Install that version again, or name another database.")


def _migrate(engine: sa.Engine) -> None:
    """Run Alembic, which is imported only then; raises `Unavailable` if it does not know the schema that it finds."""
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise _newer_schema() from error


def _analyze(engine: sa.Engine) -> None:
    """Let SQLite choose indexes by what is in the tables; other databases look after that themselves."""
    if engine.dialect.name == "sqlite":
        with engine.begin() as connection:
            connection.exec_driver_sql("PRAGMA analysis_limit=400")
            connection.exec_driver_sql("ANALYZE")


def _row_from(build: Build) -> dict[str, Any]:
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
        "environment": build.image.environment,
        "digest": build.image.digest,
        "state": build.state.value,
        "phase": build.phase.value,
        "owner": build.owner,
        "created": build.created,
        "started": build.started,
        "finished": build.finished,
        "error": dict(build.error) if build.error else None,
        "force": build.force,
        "last_event": build.last_event,
    }


def _event_row(build: Build, event: Event) -> dict[str, Any]:
    return {"build_id": build.id, "number": event.number, "kind": event.kind.value, "data": event.data}


def _build_from(row: sa.RowMapping) -> Build:
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
