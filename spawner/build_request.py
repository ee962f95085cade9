"""One start's request for a build: ask the service, show the build as progress, withdraw when the start is cancelled."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from binder_client.answers import ServiceError
from binder_client.client import BuildClient

from .notices import notices_of
from .options import RepoOptions
from .progress import SERVER_PERCENT, StartProgress
from .rejection import Rejection, build_failed, service_refused
from .service_address import page_of

WITHDRAW_SECONDS = 60
TRIAL_SECONDS = 90
UNTRIED = "is_untried"
"""What marks a build whose image the service still looked at when its server was started."""


class BuildRequest:
    """A request for the build of what a person's options name.

    Args:
        options: what the person asked for.
        progress: where the build's events are shown.
        service: where browsers reach the service; ends with a slash.
        build_seconds: how long the build may take before the start is given up; the build goes on.
        name: the server's among its person's.
        server: what the server is called in the log.
        log: the spawner's.

    Attributes:
        options: what was asked for; once the service knows, what a page's address in it means.
        build: the build as the service described it last; empty before it is there.
    """

    def __init__(
        self,
        options: RepoOptions,
        progress: StartProgress,
        *,
        service: str,
        build_seconds: float,
        name: str,
        server: str,
        log: logging.Logger | logging.LoggerAdapter[Any],
    ) -> None:
        self.options = options
        self.build: dict[str, Any] = {}
        self._progress = progress
        self._service = service
        self._build_seconds = build_seconds
        self._name = name
        self._server = server
        self._log = log

    async def image(self, client: BuildClient) -> dict[str, Any]:
        """Return a build with an image.

        A person who cancels the start does not need the build any more; a person who has waited too long may come back to it.

        Raises:
            Rejection: the service refuses or stays away, the build takes too long, or it has ended without an image.
        """
        asked = asyncio.ensure_future(self._ask(client))
        try:
            async with asyncio.timeout(self._build_seconds):
                build = await self._follow(client, await asyncio.shield(asked))
        except TimeoutError:
            sentence = f"The build still goes on after {self._build_seconds} seconds. Start the server again later; it takes up the same build."
            raise Rejection(408, sentence, log_url=self._page) from None
        except ServiceError as error:
            raise service_refused(error, self._page) from error
        except asyncio.CancelledError:
            await self._withdraw(client, asked)
            raise
        finally:
            asked.cancel()
        if build["state"] != "ready":
            raise build_failed(build, self._page)
        # A build that is shared carries its first requester's ref; this server is about what this person asked for.
        return {**build, "ref": self.options.ref or "HEAD"}

    async def verdict(self, client: BuildClient, build: Mapping[str, Any]) -> Rejection | None:
        """Return what a build says of its image, whose server did not start while it was being tried; None if it says nothing, or not in time."""
        self.build = dict(build)
        try:
            async with asyncio.timeout(TRIAL_SECONDS), aclosing(client.follow(build["id"])) as events:
                async for event in events:
                    if event.kind == "end" and event.data["state"] == "failed":
                        return build_failed({**build, **event.data}, self._page)
        except (TimeoutError, ServiceError) as error:
            self._log.warning("The build service did not say whether servers start from the image of %s: %r", self._server, error)
        return None

    @property
    def _page(self) -> str:
        return page_of(self._service, self.build)

    async def _ask(self, client: BuildClient) -> dict[str, Any]:
        """Ask for the build of what the options mean; what everybody should know is shown first."""
        for notice in await notices_of(client):
            self._progress.tell(notice)
        self.options = await _located(client, self.options)
        await self._let_through(client)
        return await client.ensure(self.options.repo, self.options.ref, self.options.provider)

    async def _let_through(self, client: BuildClient) -> None:
        """Have the service refuse a server where its person or its repository has as many as there may be."""
        asked = {"server": self._name, "repo": self.options.repo, "ref": self.options.ref, "provider": self.options.provider}
        await ask_whether(client, "starts", json={name: value for name, value in asked.items() if value})

    async def _follow(self, client: BuildClient, build: dict[str, Any]) -> dict[str, Any]:
        """Show the build's events as progress; return the build as it is in the end."""
        self.build = build
        progress = self._progress
        progress.whole_log = self._page
        if build.get("notice"):
            progress.tell(build["notice"])
        if build["state"] == "ready":
            progress.tell(f"The environment of {build['repo']} is there already.", SERVER_PERCENT)
            return build
        is_going_on = build["state"] != "failed"
        async with aclosing(client.follow(build["id"])) as events:
            async for event in events:
                progress.hear(event.kind, event.data)
                if event.kind == "end":
                    build = {**build, **event.data}
                elif is_going_on and event.kind == "phase" and event.data.get("image"):
                    # The service still looks whether servers start from it; this one's start will show.
                    return {**build, **event.data, "state": "ready", UNTRIED: True}
        return build

    async def _withdraw(self, client: BuildClient, asked: asyncio.Future[dict[str, Any]]) -> None:
        """Tell the service that this requester is gone, also when its answer to the ask was still on its way."""

        async def leave() -> None:
            build = await asked
            await client.withdraw(build["id"])

        leaving = asyncio.ensure_future(leave())
        try:
            async with asyncio.timeout(WITHDRAW_SECONDS):
                await asyncio.shield(leaving)
        except (TimeoutError, ServiceError) as error:
            self._log.warning("The build service was not told that %s does not need its build any more: %r", self._server, error)
        finally:
            leaving.cancel()


async def ask_whether(client: BuildClient, path: str, **more: Any) -> None:
    """Ask the service whether something may be; it may where the service, elsewhere and of another version, does not know the question.

    Raises:
        ServiceError: it may not, or the service stays away.
    """
    try:
        await client.ask("POST", path, **more)
    except ServiceError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise


async def _located(client: BuildClient, options: RepoOptions) -> RepoOptions:
    """Return the options with the repository, the ref and the path that a page's address means; others as they are."""
    if not options.is_page:
        return options
    found = await client.ask_object("POST", "addresses", json={"repo": options.repo, "path": options.path})
    repo, ref, path = (str(found.get(name, "")) for name in ("repo", "ref", "path"))
    return replace(options, repo=repo, ref=ref, path=path)
