"""What builds may have, where they may fetch from, and how long what they leave is kept."""

from __future__ import annotations

from typing import Any

from traitlets import Bool, Float, Integer, TraitError, Unicode, validate
from traitlets import List as ListTrait
from traitlets.config import Configurable

from ..builds.cleaner import Budget
from ..builds.limits import BuildLimits
from ..common.address_rules import AddressRules
from ..worker.job import ProcessLimits, UnpackingLimits

_GIGABYTE = 1024**3
_MEGABYTE = 1024**2
_DAY_SECONDS = 24 * 3600


class Limits(Configurable):
    """How much of everything builds may have; 0 means no limit."""

    running = Integer(
        2,
        min=1,
        help="""How many builds run at a time.

        More wait in the queue, taken in turn between people. Default: 2.
        """,
    ).tag(config=True)
    per_user = Integer(
        20,
        min=0,
        help="""How many builds of one person may wait and run.

        Another ask is answered with 429. Images that are there, and builds that are joined, do not count. Default: 20.
        """,
    ).tag(config=True)
    per_repo = Integer(
        20,
        min=0,
        help="""How many builds of one repository, at different commits, may wait and run.

        Another ask is answered with 429. Default: 20.
        """,
    ).tag(config=True)
    resolving = Integer(
        40,
        min=0,
        help="""How many requests may wait at a time for a Git server to say which commit is meant.

        Another one is answered with 429. Each takes up to three processes on the service's machine; equal requests share them. Default: 40.
        Example: ``100``, for a large machine.
        """,
    ).tag(config=True)
    resolving_per_user = Integer(
        10,
        min=0,
        help="""How many requests of one user may wait at a time for a Git server to say which commit is meant.

        Another one is answered with 429. Default: 10. Example: ``40``, for a service that asks for everybody.
        """,
    ).tag(config=True)
    ref_seconds = Float(
        5,
        min=0,
        help="""For how long it is taken for known which commit a ref is at, or that it is not there.

        A Git server is asked at most once in this time about each ref of a repository, however many people ask; a commit that is pushed meanwhile
        is seen when it is over, and by forced builds at once. 0 asks for every request. In seconds. Default: 5. Example: ``60``.
        """,
    ).tag(config=True)
    build_seconds = Float(
        3600,
        min=0,
        help="""How long a build may run.

        Then it is ended and fails with ``build_timeout``. In seconds. Default: 3600.
        """,
    ).tag(config=True)
    queue_seconds = Float(
        3600,
        min=0,
        help="""How long a build may wait for its turn.

        Then it fails with ``queue_timeout``. In seconds. Default: 3600.
        """,
    ).tag(config=True)
    log_bytes = Integer(
        20 * _MEGABYTE,
        min=0,
        help="""How much log of a build is kept.

        The log says where it was cut; the build goes on. In bytes. Default: 20 MB.
        """,
    ).tag(config=True)
    content_bytes = Integer(
        10 * _GIGABYTE,
        min=0,
        help="""How large a repository's checkout may be.

        A larger one fails with ``content_too_large``. In bytes. Default: 10 GB.
        """,
    ).tag(config=True)
    free_bytes = Integer(
        _GIGABYTE,
        min=0,
        help="""How much must stay free on the disk of `BinderService.state_dir`.

        A build that finds less, before or while it runs, fails with ``disk_full``; `/health` says so, and builds go on by themselves when there is
        more again. What SQLite has taken and will use again counts as free. In bytes. Default: 1 GB; the Helm chart sets a twentieth of the
        service's volume.
        """,
    ).tag(config=True)

    file_bytes = Integer(
        256 * _MEGABYTE,
        min=1024,
        help="""How large a file may be that is built from: an archive that is uploaded or downloaded, or a Dockerfile.

        A larger one is refused with 413. Archives wait on the disk of `BinderService.state_dir`. In bytes. Default: 256 MB.
        """,
    ).tag(config=True)
    unpacked_bytes = Integer(
        2 * _GIGABYTE,
        min=1024,
        help="""How much the files of an archive may take together.

        A build from a larger one fails with ``archive_refused``. In bytes. Default: 2 GB.
        """,
    ).tag(config=True)
    unpacked_files = Integer(
        100_000,
        min=1,
        help="""How many files, folders and links an archive may hold.

        A build from one with more fails with ``archive_refused``. Default: 100,000.
        """,
    ).tag(config=True)

    def for_builds(self) -> BuildLimits:
        """Return what the service itself looks after."""
        return BuildLimits(
            running=self.running,
            per_user=self.per_user,
            per_repo=self.per_repo,
            build_seconds=self.build_seconds,
            queue_seconds=self.queue_seconds,
            resolving=self.resolving,
            resolving_per_user=self.resolving_per_user,
            ref_seconds=self.ref_seconds,
            log_bytes=self.log_bytes,
        )

    def for_processes(self, addresses: AddressRules) -> ProcessLimits:
        """Return what a build process looks after.

        Args:
            addresses: which hosts it may fetch repositories from.
        """
        return ProcessLimits(
            log_bytes=self.log_bytes,
            content_bytes=self.content_bytes,
            free_bytes=self.free_bytes,
            addresses=addresses,
            unpacking=UnpackingLimits(self.unpacked_bytes, self.unpacked_files),
        )


class UrlGuard(Configurable):
    """Which Git servers may be asked on behalf of people."""

    public_only = Bool(
        False,
        help="""Whether git asks hosts with public addresses only, when it looks up a commit and when it fetches one.

        Closed are private, loopback, link-local (with it a cloud's metadata), multicast and reserved addresses, also for redirects, submodules and
        names that lead there; ``ssh`` and ``git`` addresses, which cannot be checked as they are used; and git-lfs. Requests are answered with 403,
        builds fail with 422. Default: false; the Helm chart sets it. Example: ``True``.
        """,
    ).tag(config=True)
    exceptions = ListTrait(
        Unicode(),
        help="""Hosts, by the name that addresses have, and networks that may be asked nonetheless.

        Whatever listens there can be asked by everybody who may build. Default: none. Example: ``["gitlab.example.org", "10.20.0.0/16"]``.
        """,
    ).tag(config=True)

    @validate("exceptions")
    def _check_exceptions(self, proposal: Any) -> Any:
        try:
            AddressRules(exceptions=proposal["value"])
        except ValueError as error:
            raise TraitError(f"UrlGuard.exceptions: {error}.") from error
        return proposal["value"]

    def rules(self) -> AddressRules:
        """Return the settings as git's callers take them."""
        return AddressRules(self.public_only, tuple(self.exceptions))


class Cleaning(Configurable):
    """What is kept, and for how long; 0 means for ever."""

    interval_seconds = Float(
        600,
        min=1,
        help="""How often is looked for what can be removed.

        In seconds. Default: 600.
        """,
    ).tag(config=True)
    image_bytes = Integer(
        0,
        min=0,
        help="""How much disk images may take together.

        Beyond it, those that were asked for least recently are removed, never an environment that a server or a build uses. In bytes.
        Default: 0, no bound. Example: ``50 * 1024**3``.
        """,
    ).tag(config=True)
    image_seconds = Float(
        None,
        min=0,
        allow_none=True,
        help="""How long an image is kept after it was last asked for; 0 for ever.

        What a server or a build uses stays, and so do prepared environments. In seconds. Default: 90 days where images are on this machine, which is
        in embedded mode, and in docker mode without a registry; for ever in a registry. Example: ``30 * 24 * 3600``.
        """,
    ).tag(config=True)
    log_seconds = Float(
        90 * _DAY_SECONDS,
        min=0,
        help="""How long the logs of builds that ended are kept.

        Their records stay, see `build_seconds`. In seconds. Default: 90 days.
        """,
    ).tag(config=True)

    log_bytes = Integer(
        2 * _GIGABYTE,
        min=0,
        help="""How much the logs of all builds together may take.

        Beyond it, the logs of the builds that ended first go, looked at every minute; their records stay. In bytes. Default: 2 GB; the Helm chart
        sets half of the service's volume. Example: ``500 * 1024**2``.
        """,
    ).tag(config=True)

    build_seconds = Float(
        365 * _DAY_SECONDS,
        min=0,
        help="""How long the records of builds that ended are kept, with who asked for them.

        Then they are forgotten, and what is left of their logs. The newest record of an image that is still there stays, so the image can be
        launched as before. In seconds. Default: 365 days. Example: ``30 * 24 * 3600``.
        """,
    ).tag(config=True)

    cache_bytes = Integer(
        10 * _GIGABYTE,
        min=0,
        help="""How much uv's cache in `BinderService.state_dir` may take by itself, in embedded mode.

        Beyond it, the cache is removed as soon as no build runs; then packages are fetched anew. What environments share with it stays theirs and
        does not count. A cache that the environment's ``UV_CACHE_DIR`` names is left alone. In bytes. Default: 10 GB. Example: ``2 * 1024**3``.
        """,
    ).tag(config=True)

    copy_seconds = Float(
        0,
        min=0,
        help="""How long a person's working copy of a repository is kept after it was last used, in embedded mode.

        Then it is removed with all work in it, unless a server runs there. It is used when a server starts in it and when one of its files changes.
        Homes of other accounts of this machine, as where the hub runs as root, are left alone. In seconds. Default: 0, for ever.
        Example: ``365 * 24 * 3600``.
        """,
    ).tag(config=True)

    file_seconds = Float(
        30 * _DAY_SECONDS,
        min=0,
        help="""How long a file that somebody gave instead of a repository is kept after it was last asked for.

        Its images stay; what is to be built from it later has to be sent again. In seconds. Default: 30 days. Example: ``24 * 3600``.
        """,
    ).tag(config=True)

    def budget(self, image_seconds: float = 0) -> Budget:
        """Return the settings as `cleaning` takes them.

        Args:
            image_seconds: how long the mode keeps images where the operator says nothing.
        """
        return Budget(
            image_bytes=self.image_bytes,
            image_seconds=image_seconds if self.image_seconds is None else self.image_seconds,
            log_seconds=self.log_seconds,
            log_bytes=self.log_bytes,
            build_seconds=self.build_seconds,
            cache_bytes=self.cache_bytes,
            copy_seconds=self.copy_seconds,
        )
