"""Following builds of any builder."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import aclosing

from binderhub_service.builders import Builder
from binderhub_service.errors import BinderError
from binderhub_service.models import Build, Kind, Report


async def followed(
    builder: Builder, build: Build, after: str = "", *, reports: list[Report] | None = None
) -> tuple[list[Report], BinderError | None]:
    """Follow a build to its end; return what was told, and the error that it ended with.

    Args:
        reports: a list that what is told is put into at once.
    """
    reports = [] if reports is None else reports
    try:
        async for report in builder.run(build, after):
            reports.append(report)
    except BinderError as error:
        return reports, error
    return reports, None


async def up_to(builder: Builder, build: Build, line: str, after: str = "") -> list[Report]:
    """Follow a build until a line was told, then stop following."""
    seen: list[Report] = []
    async with aclosing(builder.run(build, after)) as reports:
        async for report in reports:
            seen.append(report)
            if report.data.get("text") == line:
                break
    return seen


def texts(reports: Iterable[Report]) -> list[str]:
    """Return the lines of the log among reports."""
    return [report.data["text"] for report in reports if report.kind is Kind.LOG]
