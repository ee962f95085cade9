"""What benchmarks share: rows of the table, times, percentiles, and what a process uses."""

from __future__ import annotations

import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        measured: in `unit`.
        baseline: measured beside it in the same run, in `unit`; None where the goal is a plain number.
        goal: bound of the ratio to the baseline, or of `measured` where there is no baseline; None if it is only told.
        at_least: whether the goal is a lower bound; else it is an upper one.
        allowance: added to ``goal * baseline``, in `unit`.
        details: more numbers, for the JSON file.
    """

    name: str
    measured: float
    unit: str
    goal: float | None = None
    baseline: float | None = None
    at_least: bool = False
    allowance: float = 0
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """Measured by baseline."""
        return self.measured / self.baseline if self.baseline else None

    @property
    def ok(self) -> bool:
        """Whether the goal is reached; a row without one always is."""
        if self.goal is None:
            return True
        bound = self.goal if self.baseline is None else self.goal * self.baseline + self.allowance
        return self.measured >= bound if self.at_least else self.measured <= bound

    @property
    def goal_text(self) -> str:
        """The goal as the table writes it."""
        if self.goal is None:
            return "-"
        sign = ">=" if self.at_least else "<="
        number = f"{self.goal:,.0f}" if self.goal >= 1000 else f"{self.goal:.3g}"
        if self.baseline is None:
            return f"{sign} {number} {self.unit}"
        return f"{sign} {number} x" + (f" + {self.allowance:g} {self.unit}" if self.allowance else "")

    def as_dict(self) -> dict[str, Any]:
        """Return the row for the JSON file."""
        plain = {name: getattr(self, name) for name in ("name", "measured", "unit", "baseline", "ratio", "details")}
        return plain | {"goal": self.goal_text, "ok": self.ok}


def table_line(row: Row) -> str:
    """Return a row as one line of Markdown."""
    verdict = "-" if row.goal is None else "ok" if row.ok else "OVER"
    ratio = f"{row.ratio:.2f}" if row.ratio is not None else "-"
    baseline = "-" if row.baseline is None else _number(row.baseline)
    return f"| {row.name:<66} | {_number(row.measured):>9} | {baseline:>9} | {row.unit:<8} | {ratio:>6} | {row.goal_text:<20} | {verdict:<4} |"


def table_head() -> str:
    """Return the table's first two lines."""
    titles = f"| {'what':<66} | {'measured':>9} | {'baseline':>9} | {'unit':<8} | {'ratio':>6} | {'goal':<20} | {'':<4} |"
    return titles + "\n" + "|".join(["", "-" * 68, "-" * 10 + ":", "-" * 10 + ":", "-" * 10, "-" * 7 + ":", "-" * 22, "-" * 6, ""])


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def seconds_of(work: Callable[[], object]) -> float:
    """Return how long `work` takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that `share` (0..1) of the values do not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def cpu_seconds(pid: int) -> float:
    """Return how much processor time a process has used, all its threads together, without its children."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def resident_megabytes(pid: int) -> float:
    """Return a process's resident memory."""
    return float(psutil.Process(pid).memory_info().rss) / MEGABYTE


def forget_peak(pid: int) -> None:
    """Let a process's peak of resident memory begin anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_megabytes(pid: int) -> float:
    """Return a process's peak of resident memory since `forget_peak`."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def machine() -> dict[str, Any]:
    """Return facts about this machine that numbers depend on."""
    return {
        "processors": os.cpu_count(),
        "memory_gigabytes": round(psutil.virtual_memory().total / 1024**3),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "load": [round(load, 2) for load in os.getloadavg()],
    }
