"""How a build whose turn has come gets its image: its builder is followed, its reports become events, and the image store is asked."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing

from ..builders import Builder
from ..common.redact import redact
from ..errors import BinderError, BuildFailed, Unavailable
from ..images import Images
from ..models import Build, Image, Kind, Phase, Report, iso, now
from ..store.space import Space
from .event_log import EventLog
from .limits import BuildLimits

log = logging.getLogger("binderhub_service")

_RESUMED_SECONDS = 10.0  # for a build that ended in time while nobody followed it
_CONFIRM_WAITS_SECONDS = (1, 3, 9)
_SHORT_CHARACTERS = 2048  # what is longer is redacted in a thread
_TURN_CHARACTERS = 16 * 1024
_LINE_CHARACTERS = 100  # what a line costs beside its length


class BuildRunner:
    """Makes images by a builder, each within its time, as long as there is space for what is told of them."""

    def __init__(self, *, images: Images, builder: Builder, limits: BuildLimits, space: Space) -> None:
        self._images = images
        self._builder = builder
        self._limits = limits
        self._space = space

    async def image(self, event_log: EventLog) -> Image:
        """Follow the builder to its end, tell what it reports, and return the image.

        Raises:
            BinderError: there will be none; the builder does nothing any more.
        """
        await self._space.check()
        await self._follow_builder(event_log)
        image = await self._confirm(event_log)
        self._builder.note_image(image)
        return image

    async def stop(self, build: Build) -> None:
        """Stop the builder; the build ends all the same if that cannot be done."""
        try:
            await self._builder.stop(build)
        except (BinderError, OSError):
            log.exception("What the builder does for build %s could not be stopped", build.id)

    async def _follow_builder(self, event_log: EventLog) -> None:
        limit_seconds = self._limits.build_seconds
        left_seconds = max(_RESUMED_SECONDS if event_log.resumed else 0.0, limit_seconds - event_log.running_seconds()) if limit_seconds else None
        turn = _Turn()
        try:
            async with asyncio.timeout(left_seconds) as timeout:
                async with aclosing(self._builder.run(event_log.build, event_log.cursor)) as reports:
                    async for report in reports:
                        await self._record(event_log, report, turn)
                        await self._check_space(event_log)
                        await event_log.flush_if_full()
                    await event_log.flush()
                    await self._check_space(event_log)
        except TimeoutError as error:
            if not timeout.expired():
                raise
            await self.stop(event_log.build)
            raise BuildFailed(
                f"The build took longer than {limit_seconds:g} seconds and was ended.",
                code="build_timeout",
                hint="Make the environment smaller, or ask an administrator for more time.",
            ) from error

    async def _check_space(self, event_log: EventLog) -> None:
        """End a build of which no more can be stored."""
        try:
            if event_log.unstored:
                raise event_log.unstored
            await self._space.check()
        except Unavailable:
            await self.stop(event_log.build)
            raise

    async def _confirm(self, event_log: EventLog) -> Image:
        """Ask the image store, which alone may say that a build is ready; several times if it does not answer."""
        self._images.forget(event_log.build.image.name)  # a forced build has put another image in its place
        for seconds in _CONFIRM_WAITS_SECONDS:
            try:
                return _made(await self._images.exists(event_log.build.image.name))
            except Unavailable as error:
                event_log.append_log(f"{error.message} Trying again in {seconds} s.")
                await asyncio.sleep(seconds)
        return _made(await self._images.exists(event_log.build.image.name))

    async def _tell_made(self, event_log: EventLog, report: Report) -> None:
        """Tell the image that servers can be started from while its builder still looks whether that works."""
        event_log.is_made = True
        try:
            image = await self._confirm(event_log)
        except BinderError:
            await self.stop(event_log.build)
            raise
        event_log.update(image=image)
        told = {"phase": event_log.build.phase, "message": report.data["message"], "image": image.reference, "environment": image.environment or None}
        event_log.append(Kind.PHASE, {**told, "time": iso(now())}, cursor=report.cursor)
        await event_log.flush()

    async def withdraw(self, build: Build) -> None:
        """Take away what a build that did not end well has made; a container's image that runs stays, as does what cannot be deleted."""
        try:
            await self._images.withdraw(build.image.name)
        except BinderError as error:
            log.warning("The image %s of build %s stays, although the build did not end well: %s", build.image.name, build.id, error.message)

    async def _record(self, event_log: EventLog, report: Report, turn: _Turn) -> None:
        if report.data.get("made"):
            await self._tell_made(event_log, report)
            return
        if report.kind is Kind.PHASE:
            event_log.move_to(Phase(report.data["phase"]), report.data.get("message"), cursor=report.cursor)
            return
        text: str = report.data["text"]
        redacted = redact(text) if len(text) <= _SHORT_CHARACTERS else await asyncio.to_thread(redact, text)
        event_log.append_log(redacted, cursor=report.cursor, limit_bytes=self._limits.log_bytes)
        await turn.spend(len(text))


class _Turn:
    """How much of a log may be worked on before other tasks of the event loop get their turn."""

    def __init__(self) -> None:
        self._left_characters = _TURN_CHARACTERS

    async def spend(self, characters: int) -> None:
        """Note that a line was worked on; lets others run when much was."""
        self._left_characters -= characters + _LINE_CHARACTERS
        if self._left_characters < 0:
            self._left_characters = _TURN_CHARACTERS
            await asyncio.sleep(0)


def _made(image: Image | None) -> Image:
    if image is None:
        raise BuildFailed(
            "The build ended, but its image is not there.", code="image_missing", hint="Ask again; if it stays so, ask an administrator."
        )
    return image
