"""Times, as they are kept and written."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """Return the time, with its zone."""
    return datetime.now(UTC)


def iso(time: datetime | None) -> str | None:
    """Return a time as the wire writes it: UTC, ISO-8601, milliseconds and ``Z``."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if time else None


def seconds_between(begin: datetime, end: datetime) -> float:
    """Return for how long something went on; 0 where the clock was set back meanwhile and says less."""
    return max(0.0, (end - begin).total_seconds())
