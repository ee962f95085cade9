"""What a step tells, read from its container's log."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from ...common.redact import redact
from ...errors import Unavailable
from ...models import Kind, Phase, Report
from .cluster import Cluster
from .endings import Stand, reports_of, stand
from .lines import lines_of
from .refusals import Refusal
from .watch import FollowedPod

log = logging.getLogger("binderhub_service")
_MAX_LINE_BYTES = 1024 * 1024
_MAX_FOREIGN_BYTES = 2000
_MAX_FOREIGN_LINES = 100
_FIRST_WAIT_SECONDS = 0.3
_LONGEST_WAIT_SECONDS = 10.0
_END_SECONDS = 10.0  # a container's end is seen in its log before it is seen in its pod
_TRIES_OF_ENDED = 4
_DELETED_SECONDS = 60.0
_AWAY_SECONDS = 30.0
_AWAY = "The build's log cannot be read now; its node may be away. If it stays away, the cluster ends the build after some minutes."
_UNREADABLE = "The rest of this step's log cannot be read."


@dataclass
class StepLog:
    """The log of one step; every time it is opened it begins anew, and what is known is left out.

    Attributes:
        known: the number of the last report that was told.
        foreign: how many lines were no reports.
    """

    cluster: Cluster
    pod: FollowedPod
    step: str
    known: int = 0
    foreign: int = 0
    _deleted_at: float = 0.0
    _refused_since: float = 0.0

    async def follow(self) -> AsyncGenerator[Report]:
        """Yield the reports behind `known`, until the step has ended or its pod is gone."""
        wait_seconds, in_vain = _FIRST_WAIT_SECONDS, 0
        while self.pod.now is not None and not self._given_up():
            ended = stand(self.pod.now, self.step) is Stand.ENDED
            known, whole = self.known, False
            try:
                async with aclosing(self._read()) as reports:
                    async for report in reports:
                        yield report
                whole = ended or await self._ends()
                self._refused_since = 0.0
            except Unavailable as error:
                log.debug("The log of %s of pod %s broke off: %s", self.step, self.pod.name, error.message)
                if self._is_away(error):
                    yield self._said(_AWAY)
            if whole and self.known >= reports_of(self.pod.now, self.step):
                return
            in_vain += ended and self.known == known
            if in_vain >= _TRIES_OF_ENDED:
                yield self._said(_UNREADABLE)
                return
            wait_seconds = _FIRST_WAIT_SECONDS if self.known > known else min(2 * wait_seconds, _LONGEST_WAIT_SECONDS)
            await self.pod.changed(wait_seconds)

    def _given_up(self) -> bool:
        """Say whether the pod has been about to go for so long that nobody is left who would end it."""
        if self.pod.now and "deletionTimestamp" in self.pod.now["metadata"]:
            self._deleted_at = self._deleted_at or time.monotonic()
            return time.monotonic() - self._deleted_at > _DELETED_SECONDS
        return False

    def _is_away(self, error: Unavailable) -> bool:
        """Say, once, that the API server has not got the log from its node for some time; a step that is silent is another matter."""
        if not isinstance(error, Refusal):
            self._refused_since = 0.0
            return False
        self._refused_since = self._refused_since or time.monotonic()
        if time.monotonic() - self._refused_since < _AWAY_SECONDS:
            return False
        self._refused_since = float("inf")
        return True

    async def _ends(self) -> bool:
        """Say whether the step is over; its log has just ended."""
        return await self.pod.until(lambda pod: stand(pod, self.step) is Stand.ENDED, _END_SECONDS)

    async def _read(self) -> AsyncGenerator[Report]:
        """Read the log once, from its beginning to where it ends or breaks off."""
        async with aclosing(self.cluster.log(self.pod.name, self.step)) as chunks:
            async for line in lines_of(chunks, _MAX_LINE_BYTES):
                found = _report(line)
                if found is None:
                    self._note_foreign(line)
                    continue
                number, report = found
                if number <= self.known:
                    continue
                if number > self.known + 1:
                    missing = number - self.known - 1
                    self.known = number - 1
                    yield self._said(f"{missing} lines of the log are missing here: there was more than the cluster keeps.")
                self.known = number
                yield Report(report.kind, report.data, self.cursor)

    def _note_foreign(self, line: bytes) -> None:
        """Write what is no report into the service's log, a bounded number of lines."""
        self.foreign += 1
        if self.foreign <= _MAX_FOREIGN_LINES:
            log.warning("Build pod %s, %s: %s", self.pod.name, self.step, redact(line[:_MAX_FOREIGN_BYTES].decode(errors="replace")))

    def _said(self, text: str) -> Report:
        return Report(Kind.LOG, {"text": text}, self.cursor)

    @property
    def cursor(self) -> str:
        """The position in the step's reports."""
        return f"{self.step}:{self.known}"


def _report(line: bytes) -> tuple[int, Report] | None:
    """Return number and content of a report, or None for anything else: strangers' code may write there, too."""
    try:
        told = json.loads(line)
        number, kind, data = told["n"], told["kind"], told["data"]
        if not isinstance(number, int) or number < 1:
            return None
        if kind == Kind.LOG and isinstance(data["text"], str):
            return number, Report(Kind.LOG, {"text": data["text"]})
        if kind == Kind.PHASE and isinstance(data.get("message"), str | None):
            if data.get("made") is True:
                return number, Report(Kind.PHASE, {"made": True, "message": data["message"]})
            return number, Report(Kind.PHASE, {"phase": Phase(data["phase"]), "message": data.get("message")})
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    return None
