"""The policy of asking: who may ask, read and cancel. No framework, no mode.

What may be asked for is decided in `permissions`, which source it means in `meaning`, who joins whom in `sharing`; what happens to a build once
it is begun, in `scheduler`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from ..builders import Builder
from ..errors import Conflict, NotAllowed, NotFound, Unavailable
from ..images import Images
from ..models import PREPARED, Account, Batch, Build, Caller, Request, Source, State
from ..providers import Provider
from ..store.space import Space
from ..store.store import Store
from . import access
from .active import ActiveBuilds
from .controls import Controls
from .limits import BuildLimits
from .meaning import exact_source, instead_of_a_refresh, instead_of_an_answer, meant_source
from .pages import located
from .permissions import Permissions
from .prepared import PreparedEnvironments
from .reader import BuildReader
from .requesters import Requesters
from .resolver import Resolver
from .scheduler import BuildScheduler, Observer
from .sharing import SharedBuilds

# How many of a person's builds of a repository are looked at where its Git server gives no answer.
_LOOKED_BACK = 20


class Builds:
    """Makes sure that there are images of what people ask for, and gives the event log of every build.

    Args:
        providers: asked in order, most specific first.
        space: the disk that is written to while builds run; by default nobody looks at it.
        observer: told when a build's turn comes and when it ends.
        controls: what administrators switch; None where they cannot.
        prepared: the list of prepared environments; None where there is none.
    """

    def __init__(
        self,
        *,
        store: Store,
        providers: Sequence[Provider],
        images: Images,
        builder: Builder,
        limits: BuildLimits = BuildLimits(),  # noqa: B008  # frozen
        space: Space | None = None,
        observer: Observer | None = None,
        controls: Controls | None = None,
        prepared: PreparedEnvironments | None = None,
    ) -> None:
        self._store = store
        self._images = images
        self._builder = builder
        self._prepared = prepared
        active = ActiveBuilds()
        self._reader = BuildReader(store, active)
        self._requesters = Requesters(store)
        self._resolver = Resolver(providers, limits)
        self._permissions = Permissions(self._resolver, limits, controls, prepared)
        room = space or Space(Path())
        self._scheduler = BuildScheduler(store=store, images=images, builder=builder, limits=limits, active=active, space=room, observer=observer)
        self._shared = SharedBuilds(store=store, images=images, scheduler=self._scheduler)

    # --- asking ------------------------------------------------------------------------------------------------------

    async def ensure(
        self,
        request: Request,
        caller: Caller,
        *,
        force: bool = False,
        as_named: bool = False,
        may_begin: Callable[[Source], Awaitable[None]] | None = None,
    ) -> tuple[Build, bool]:
        """Make sure that there is, or will be, an image of what is asked for; equal asks share one build.

        Args:
            force: build even if the image is there; a build that is going on is joined all the same.
            as_named: whether only the ref that is named will do. Else the default branch is taken, with a notice, where ``master`` or ``main``
                is not there: so repositories rename their default branch.
            may_begin: asked before a build is begun; what it raises goes to the caller.

        Returns:
            The build that makes or made the image, and whether it was begun by this ask.

        Raises:
            NotAllowed: the caller may not build, or the operator does not let this repository be used.
            TooMany: a limit is reached.
            InvalidRequest, NotFound, Unavailable: from the provider or the image store; then nothing was begun. Where the caller has
                had an image of what is asked for, and it is there still, that is given instead, with a notice.
        """
        self._permissions.check_request(request, caller)
        await self._requesters.adopt(caller)
        if self._prepared and request.provider == PREPARED:
            environment = self._prepared.get(request.repo)
            if (build := await self._store.newest_ready(environment.image)) is not None:
                build, is_new = await self._ensure(build.source, caller, force=force, may_begin=may_begin)
                return replace(build, notice=instead_of_a_refresh(environment)), is_new
            request, as_named = environment.request, True
        try:
            source, notice = await meant_source(request, caller.name, self._resolver, fresh=force, as_named=as_named)
        except (NotFound, Unavailable) as error:
            known = None if force else await self._had_before(request, caller)
            if known is None:
                raise
            return replace(known, notice=instead_of_an_answer(error, known)), False
        build, is_new = await self._ensure(source, caller, force=force, may_begin=may_begin)
        return replace(build, notice=notice) if notice else build, is_new

    async def prepare(self, request: Request, caller: Caller) -> Build:
        """Make sure that there is, or will be, an image of the commit that a request means now; nothing that was known before will do.

        Raises:
            NotAllowed, TooMany, InvalidRequest, NotFound, Unavailable: as `ensure`; then nothing was begun.
        """
        self._permissions.check_to_prepare(request, caller)
        source = await exact_source(request, caller.name, self._resolver, fresh=True)
        build, _ = await self._ensure(source, caller)
        return build

    async def ensure_source(self, source: Source, caller: Caller) -> tuple[Build, bool]:
        """Make sure that there is, or will be, an image of a source that needs no provider, as `ensure`; raises what that raises."""
        self._permissions.check_without_provider(caller)
        await self._requesters.adopt(caller)
        return await self._ensure(source, caller)

    async def _ensure(
        self, source: Source, caller: Caller, *, force: bool = False, may_begin: Callable[[Source], Awaitable[None]] | None = None
    ) -> tuple[Build, bool]:
        """Return what `SharedBuilds.ensure` returns, where administrators let this source be used."""
        self._permissions.check_source(source, caller)

        async def may_begin_now(source: Source) -> None:
            self._permissions.check_pause()
            if may_begin is not None:
                await may_begin(source)
            await self._permissions.check_limits(source, caller, self._scheduler.unfinished)

        return await self._shared.ensure(source, caller.account, force=force, may_begin=may_begin_now)

    async def _had_before(self, request: Request, caller: Caller) -> Build | None:
        """Return the caller's newest build of this repository and ref whose image is there; nobody outside is asked."""
        wanted = {"state": State.READY, "repo": self._resolver.repository_of(request)}
        builds = await self._reader.newest(requester=caller.account.key, filters=wanted, before=None, limit=_LOOKED_BACK)
        for build in builds:
            is_same = build.source.ref == (request.ref or "HEAD") and build.source.first_of == request.first_of
            if is_same and await self._images.exists(build.image.name):
                return build
        return None

    async def located(self, request: Request, path: str, caller: Caller, *, shorthand: bool = False, to_prepare: bool = False) -> tuple[Request, str]:
        """Return the request and the path that are meant if a page's address was given in place of a repository's, as `pages.located`.

        Args:
            to_prepare: whether it is for the list of prepared environments, and so may be used where nothing but what is on it may.

        Raises:
            NotAllowed: the caller may not build, or the operator does not let this repository be used.
            InvalidRequest, NotFound, TooMany, Unavailable: from the provider.
        """
        access.check_may_build(caller)
        meant, path = await located(request, path, caller.name, self._resolver, shorthand=shorthand)
        if to_prepare:
            self._permissions.check_to_prepare(meant, caller)
        else:
            self._permissions.check_request(meant, caller)
        return meant, path

    # --- reading -----------------------------------------------------------------------------------------------------

    async def get(self, build_id: str, caller: Caller) -> Build:
        """Return a build.

        Raises:
            NotFound: no build has this id.
            NotAllowed: the caller did not ask for it and may not read everybody's.
        """
        build = await self._reader.get(build_id)
        await self._requesters.adopt(caller)
        if not access.may_read_all(caller) and not access.may_read(caller, await self._reader.requesters(build_id)):
            raise NotAllowed("This build was asked for by somebody else.", hint=f"Reading everybody's builds takes the scope {access.READ_SCOPE}.")
        return build

    async def list(
        self,
        caller: Caller,
        *,
        state: str | None = None,
        repo: str | None = None,
        owner: str | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> list[Build]:
        """Return the builds that the caller may read, newest first; those the caller asked for, or everybody's."""
        filters = {name: value for name, value in (("state", state), ("repo", repo), ("owner", owner)) if value}
        await self._requesters.adopt(caller)
        requester = None if access.may_read_all(caller) else caller.account.key
        return await self._reader.newest(requester=requester, filters=filters, before=before, limit=limit)

    async def follow(self, build_id: str, caller: Caller, after: int = 0) -> AsyncGenerator[Batch]:
        """Yield the build's event log in batches from the event behind `after` on; live while it goes on.

        Raises:
            NotFound, NotAllowed: as `get`.
        """
        await self.get(build_id, caller)
        async with aclosing(self._reader.follow(build_id, after)) as batches:
            async for batch in batches:
                yield batch

    async def events_so_far(self, build_id: str, caller: Caller) -> AsyncGenerator[Batch]:
        """Yield the build's events up to now, in batches, without waiting for more.

        Raises:
            NotFound, NotAllowed: as `get`.
        """
        await self.get(build_id, caller)
        async with aclosing(self._reader.events_so_far(build_id)) as batches:
            async for batch in batches:
                yield batch

    async def note_rename(self, former: Account, account: Account) -> None:
        """Let an account that was renamed keep its builds."""
        await self._requesters.note_rename(former, account)

    def queue_status(self, build_id: str) -> dict[str, int | None] | None:
        """Return the place of a waiting build, 1 for the next, and the seconds it may wait; None if it does not wait."""
        return self._scheduler.queue_status(build_id)

    def counts(self) -> dict[str, int]:
        """Return how many builds wait and run, and how many followers there are."""
        return self._scheduler.counts()

    # --- giving up ---------------------------------------------------------------------------------------------------

    async def cancel(self, build_id: str, caller: Caller) -> Build:
        """End a build: for everybody if the caller owns it or may cancel everybody's, else only the caller's own wish for it.

        Raises:
            NotFound, NotAllowed: as `get`.
            Conflict: it has ended.
        """
        build = await self.get(build_id, caller)
        if build.state.ended:
            raise Conflict(f"The build has ended; it is {build.state}.", code="build_ended")
        if await self.may_cancel_for_all(build, caller):
            await self._scheduler.cancel(build_id)
        else:
            await self._shared.withdraw(build, caller.account.key)
        return await self._reader.get(build_id)

    async def may_cancel_for_all(self, build: Build, caller: Caller) -> bool:
        """Say whether the caller may end the build for everybody: who may end all, and its owner."""
        return access.may_cancel_all(caller) or access.owns(caller, build, await self._reader.requesters(build.id))

    async def withdraw(self, build_id: str, caller: Caller) -> Build:
        """Note that the caller does not need a build any more; it ends if nobody else does.

        Raises:
            NotFound, NotAllowed: as `get`.
        """
        build = await self.get(build_id, caller)
        if not build.state.ended:
            await self._shared.withdraw(build, caller.account.key)
        return await self._reader.get(build_id)

    async def forget(self, build_id: str) -> None:
        """Forget a build that has ended, with its event log and who asked for it.

        Raises:
            NotFound: no build has this id.
            Conflict: it waits or runs, or its image is there and found by this record.
            Unavailable: the image store could not be asked.
        """
        build = await self._reader.get(build_id)
        if not build.state.ended:
            raise Conflict(f"The build has not ended; it is {build.state}.", code="build_not_ended", hint="Cancel it, or wait for its end.")
        await self._shared.forget_build(build)

    async def tidy_images(self) -> None:
        """Remove what image stores keep though no image leads there any more."""
        await self._images.tidy({build.id for build in self._scheduler.unfinished()})

    async def delete_image(self, name: str) -> None:
        """Remove an image, so that the next ask for it builds it.

        Raises:
            Conflict: a server runs from it, or a build is making it.
            Unavailable: the image store could not be asked.
        """
        await self._shared.delete_image(name)

    # --- living on ---------------------------------------------------------------------------------------------------

    async def resume(self) -> int:
        """Take up every build that had not ended when the service did; return how many."""
        await self._shared.begin_behind_known()
        unfinished = await self._store.unfinished()
        await self._builder.forget_all_but({build.id for build, _ in unfinished})
        for build, cursor in sorted(unfinished, key=lambda one: one[0].state is not State.RUNNING):  # they have their places already
            await self._scheduler.resume(build, cursor)
        return len(unfinished)

    async def close(self) -> None:
        """Stop following, in good order; the builds go on and `resume` takes them up again."""
        await self._resolver.close()
        await self._scheduler.close()
        await self._images.close()
