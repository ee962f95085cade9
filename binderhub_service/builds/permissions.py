"""What may be asked for, and what may be begun: scopes, administrators' controls, the list of prepared environments, limits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..models import PREPARED, Build, Caller, Request, Source
from . import access
from .controls import Controls
from .limits import BuildLimits
from .prepared import PreparedEnvironments
from .resolver import Resolver


class Permissions:
    """Says no: to what is not allowed by `NotAllowed`, to what is too much by `TooMany`, and to everything new by `Unavailable` in a pause.

    Args:
        controls: what administrators switch; None where they cannot.
        prepared: the list of prepared environments; None where there is none.
    """

    def __init__(self, resolver: Resolver, limits: BuildLimits, controls: Controls | None, prepared: PreparedEnvironments | None) -> None:
        self._resolver = resolver
        self._limits = limits
        self._controls = controls
        self._prepared = prepared

    def check_request(self, request: Request, caller: Caller) -> None:
        """Refuse who may not build, or not from this repository, as far as its address tells."""
        access.check_may_build(caller)
        if self._prepared:
            self._prepared.check_may_be_used(request)
            if request.provider == PREPARED:
                request = self._prepared.get(request.repo).request
                self._resolver.check_permitted(request)
        self.check_to_prepare(request, caller)

    def check_to_prepare(self, request: Request, caller: Caller) -> None:
        """Refuse who may not build, and what administrators have banned; the list of prepared environments need not have it yet."""
        access.check_may_build(caller)
        if self._controls:
            self._controls.check_person(caller.name)
            self._controls.check_repository(self._resolver.repository_of(request))

    def check_without_provider(self, caller: Caller) -> None:
        """Refuse who may not build, or may use prepared environments alone; what is asked for needs no provider."""
        access.check_may_build(caller)
        if self._prepared:
            self._prepared.check_may_be_used(None)

    def check_source(self, source: Source, caller: Caller) -> None:
        """Refuse what administrators have banned, whatever address it was asked for by."""
        if self._controls:
            self._controls.check_person(caller.name)
            self._controls.check_repository(source.repo, source.url)

    def check_pause(self) -> None:
        """Refuse every build while administrators let none begin."""
        if self._controls:
            self._controls.check_may_begin()

    async def check_limits(self, source: Source, caller: Caller, unfinished: Callable[[], Sequence[Build]]) -> None:
        """Refuse a build if the caller or the repository has as many as they may have.

        Args:
            unfinished: returns the builds that have not ended; called last, and nothing may come between this and the beginning.
        """
        limits = await self._controls.limits_for(self._limits, caller.name, source.repo, source.url) if self._controls else self._limits
        limits.check_may_begin(caller.name, source.repo, unfinished())
