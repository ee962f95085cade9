"""Settings that are the same in every mode: limits and cleaning."""

from __future__ import annotations

import importlib
import os
from ipaddress import ip_network
from typing import Any

from traitlets import Bool, Callable, Float, Integer, TraitError, Unicode, Union, default, validate
from traitlets import List as ListTrait
from traitlets.config import Configurable

from .builds.cleaner import Budget
from .builds.launch_quota import LaunchLimits
from .builds.limits import BuildLimits
from .common.address_rules import AddressRules
from .launches import Attempts
from .legacy_settings import LegacySettings
from .page_settings import PageSettings
from .server import ServerLimits
from .worker.job import ProcessLimits

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

        A build that finds less, before or while it runs, fails with ``disk_full``. In bytes. Default: 1 GB.
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
        return ProcessLimits(log_bytes=self.log_bytes, content_bytes=self.content_bytes, free_bytes=self.free_bytes, addresses=addresses)


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

        Beyond it, those that were asked for least recently are removed, never one that a server or a build uses. In bytes.
        Default: 0, no bound. Example: ``50 * 1024**3``.
        """,
    ).tag(config=True)
    image_seconds = Float(
        0,
        min=0,
        help="""How long an image is kept after it was last asked for.

        In seconds. Default: 0, for ever. Example: ``30 * 24 * 3600``.
        """,
    ).tag(config=True)
    log_seconds = Float(
        90 * _DAY_SECONDS,
        min=0,
        help="""How long the logs of builds that ended are kept.

        Their records stay, see `build_seconds`. In seconds. Default: 90 days.
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

    def budget(self) -> Budget:
        """Return the settings as `cleaning` takes them."""
        return Budget(image_bytes=self.image_bytes, image_seconds=self.image_seconds, log_seconds=self.log_seconds, build_seconds=self.build_seconds)


class LaunchQuota(Configurable):
    """How many servers there may be at a time."""

    total_quota = Integer(
        None,
        min=0,
        allow_none=True,
        help="""How many servers there may be of everybody, those that start included.

        Another launch is refused. 0 launches nothing. Default: none, no limit. Example: 100.
        """,
    ).tag(config=True)
    per_repo_quota = Integer(
        0,
        min=0,
        help="""How many servers there may be of one repository, at any commit.

        Another launch of it is refused. `Provider.spec_config` can say another number for single repositories. Default: 0, no limit.
        Example: 20.
        """,
    ).tag(config=True)
    per_repo_quota_higher = Integer(
        0,
        min=0,
        help="""How many servers there may be of a repository that matches `Provider.high_quota_specs`.

        Default: 0, no limit. Example: 200.
        """,
    ).tag(config=True)

    wait_seconds = Float(
        0,
        min=0,
        help="""How long a launch by BinderHub's ``/build`` waits in the visible queue for a place when a quota is reached.

        Then it is refused. Other launches are refused at once, whatever is set here. In seconds. Default: 0, refused at once, as BinderHub does.
        Example: ``600``.
        """,
    ).tag(config=True)

    def quota(self) -> LaunchLimits:
        """Return the settings as `builds.launch_quota` takes them."""
        return LaunchLimits(total=self.total_quota, per_repo=self.per_repo_quota, per_repo_higher=self.per_repo_quota_higher)


class Launcher(Configurable):
    """How servers are launched."""

    retries = Integer(
        4,
        min=1,
        help="""How often BinderHub's ``/build`` tries to start a server before it gives up; refusals are not tried again.

        Default: 4.
        """,
    ).tag(config=True)
    retry_delay = Float(
        4,
        min=0,
        help="""How long it waits before it tries the second time; then twice as long each time.

        In seconds. Default: 4.
        """,
    ).tag(config=True)
    launch_timeout = Float(
        600,
        min=1,
        help="""How long it waits for a server that was started.

        The hub has its own limit, `Spawner.start_timeout`, and goes on meanwhile. In seconds. Default: 600.
        """,
    ).tag(config=True)
    abandoned_seconds = Float(
        60,
        min=1,
        help="""How long a visitor's launch is kept when the client has gone away before the server was ready.

        A client that comes back in time goes on with it; then server and temporary user are removed. In seconds. Default: 60. Example: ``300``.
        """,
    ).tag(config=True)
    pre_launch_hook = Union(
        [Callable(), Unicode()],
        allow_none=True,
        default_value=None,
        help="""A function that is called before a server is launched through the service, and may refuse it.

        It is called as ``hook(launcher, image, username, server_name, repo_url)`` and may be a coroutine; ``image`` is empty where the image
        is found by the start itself. It refuses by raising ``tornado.web.HTTPError(status, sentence)``. Starts by the hub's own form do not
        come by here; for them JupyterHub has `Spawner.pre_spawn_hook`. A function in a file of the service's own, or where it can be imported
        from as ``package.module.function``. Default: none. Example: ``"our_hub.rules.check_launch"``.
        """,
    ).tag(config=True)

    def attempts(self) -> Attempts:
        """Return the settings as `handlers` take them."""
        return Attempts(self.retries, self.retry_delay, self.launch_timeout)

    @validate("pre_launch_hook")
    def _import_hook(self, proposal: Any) -> Any:
        name = proposal["value"]
        if not isinstance(name, str):
            return name
        module, _, attribute = name.rpartition(".")
        try:
            hook = getattr(importlib.import_module(module), attribute) if module else None
        except (ImportError, AttributeError) as error:
            raise TraitError(f"Launcher.pre_launch_hook: {name!r} cannot be imported: {error}.") from error
        if not callable(hook):
            raise TraitError(f"Launcher.pre_launch_hook: there is no function {name!r}; name it as package.module.function.")
        return hook


class Pages(Configurable):
    """What pages show; more can be changed by templates in `BinderService.template_paths`."""

    about_message = Unicode(
        help="""HTML that the page ``about`` shows.

        It is shown as it is. Default: none. Example: ``"<p>Run by the library. <a href='mailto:help@example.org'>Write to us.</a></p>"``.
        """,
    ).tag(config=True)
    banner_html = Unicode(
        help="""HTML on top of every page.

        It is shown as it is. Default: none. Example: ``"Closed on Monday from 8 to 9."``.
        """,
    ).tag(config=True)
    badge_base_url = Unicode(
        help="""Where badges and shared links lead.

        For a service that has several addresses. Default: the address that the page is read at. Example: ``https://binder.example.org/``.
        """,
    ).tag(config=True)
    logo_url = Unicode(
        help="""The address of the logo.

        It takes the place of the hub's on the service's pages. Default: the hub's logo. Example: ``/services/binder/extra_static/logo.svg``.
        """,
    ).tag(config=True)
    opengraph_title = Unicode(
        "Servers from repositories",
        help="""The title of links to the service where they are shared; links to a repository have its name.

        Default: ``Servers from repositories``.
        """,
    ).tag(config=True)
    extra_static_path = Unicode(
        help="""A directory whose files are served below `extra_static_url_prefix`.

        Everybody may read them, without a login. Default: none. Example: ``/srv/binder/static``.
        """,
    ).tag(config=True)
    extra_static_url_prefix = Unicode(
        "/extra_static/",
        help="""The path below the service that the files of `extra_static_path` are served at.

        Default: ``/extra_static/``.
        """,
    ).tag(config=True)

    def page_settings(self) -> PageSettings:
        """Return the settings as `handlers` take them."""
        return PageSettings(**{name: getattr(self, name) for name in PageSettings.__dataclass_fields__})


class Server(Configurable):
    """What a request may take of the service before it is known whose it is."""

    body_bytes = Integer(
        64 * 1024,
        min=1024,
        help="""How large the body of a request may be.

        A larger one is answered with 413; nothing of it is kept. In bytes. Default: 65,536. Example: ``256 * 1024``.
        """,
    ).tag(config=True)
    body_seconds = Float(
        60,
        min=1,
        help="""How long the body of a request may take to arrive.

        Then the connection is closed. In seconds. Default: 60. Example: ``10``.
        """,
    ).tag(config=True)
    header_bytes = Integer(
        64 * 1024,
        min=4096,
        help="""How large the headers of a request may be together.

        The connection is closed when there is more. In bytes. Default: 65,536. Example: ``16 * 1024``.
        """,
    ).tag(config=True)
    idle_seconds = Float(
        120,
        min=1,
        help="""How long a connection may wait for its next request, or for the end of a request's headers.

        Then it is closed. In seconds. Default: 120. Example: ``30``.
        """,
    ).tag(config=True)

    trusted_proxies = ListTrait(
        Unicode(),
        help="""Networks of the proxies in front of the hub's own, such as an ingress.

        Their word about a client's address is believed; without them, everybody behind such a proxy has the proxy's address, for bounds and
        events. The hub's own proxy needs no entry, and nobody else is believed. Default: none. Example: ``["10.0.0.0/8"]``.
        """,
    ).tag(config=True)

    @validate("trusted_proxies")
    def _check_networks(self, proposal: Any) -> list[str]:
        for network in proposal["value"]:
            try:
                ip_network(network)
            except ValueError as error:
                raise TraitError(f"Server.trusted_proxies: {error}") from error
        return list(proposal["value"])

    def limits(self) -> ServerLimits:
        """Return the settings as `server` takes them."""
        trusted = tuple(map(ip_network, self.trusted_proxies))
        return ServerLimits(self.body_bytes, self.body_seconds, self.header_bytes, self.idle_seconds, trusted)


class LegacyApis(Configurable):
    """APIs of older services, for clients that exist; below the service, each at a path of its own."""

    binder_build = Bool(
        False,
        help="""Whether binder-build's API is served, at ``binder-build/`` below the service.

        As in the original, the state of one build and single templates can be read without a key. Default: false.
        """,
    ).tag(config=True)
    registry = Bool(
        False,
        help="""Whether binder-registry's API is served, at ``registry/`` below the service.

        As in the original, templates can be read without a key, and be changed with any. Default: false.
        """,
    ).tag(config=True)
    api_key = Unicode(
        help="""A key for clients that know nothing of the hub's tokens; it may ask for builds, read everybody's and change templates.

        Hub API tokens are keys as well, with the scopes of the service's own API. Default: the environment's ``BINDER_API_KEY``, or none.
        """,
    ).tag(config=True)

    @default("api_key")
    def _api_key_default(self) -> str:
        return os.environ.get("BINDER_API_KEY", "")

    def legacy_settings(self) -> LegacySettings:
        """Return the settings as `handlers` take them."""
        return LegacySettings(binder_build=self.binder_build, registry=self.registry, api_key=self.api_key)
