"""What handlers work with, put together in `assembly`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cachetools import LRUCache
from jinja2 import Environment

from .builds.builds import Builds
from .builds.cleaner import Cleaner
from .builds.controls import Controls
from .builds.copy_quota import CopyQuota
from .builds.hooks import Hooks
from .builds.image_jobs import ImageJobs
from .builds.named import NamedBuilds
from .builds.prepared import PreparedEnvironments
from .builds.rates import Rates
from .builds.refreshes import Refreshes
from .builds.templates import Templates
from .clients.contents import Contents
from .common.forwarded import Network
from .launches.accounts import HubAccounts
from .launches.build_tokens import BuildTokens
from .launches.launches import Attempts, Launches
from .launches.temporary_users import TemporaryUsers
from .models import Build
from .monitoring.actions import Actions
from .monitoring.health import Health
from .monitoring.launch_events import Events
from .monitoring.metrics import Metrics
from .providers import Provider
from .settings.legacy import LegacySettings
from .settings.pages import PageSettings
from .working_copies import WorkingCopies

_KEPT_ANSWERS = 2000


@dataclass(frozen=True)
class AppContext:
    """What handlers work with.

    Attributes:
        prefix: the path that this service lives at, e.g. ``/services/binder/``.
        hub_prefix: where browsers see the hub: a path, e.g. ``/hub/``, or an address where the hub has a host of its own.
        hub_origin: the hub's origin where it has a host of its own (JupyterHub's ``subdomain_host``); its pages may ask the API with a token.
        hub_api_url: the hub's REST API as this process reaches it.
        accounts: knows whose account somebody comes with.
        cleaner: knows all images, and removes what is not needed.
        controls: what administrators switch while the service runs.
        contents: files that people gave instead of a repository.
        copies: people's files, where they are in the state directory; None where they are elsewhere.
        copy_quota: says whether a new working copy may be made for a person.
        pages: what an operator can change on pages without a template.
        events: tells the operator's handlers of launches.
        actions: tells them, and the log, who did what.
        health: knows whether everything answers that the service needs.
        builder_info: what ``/versions`` says about the builder.
        attempts: how often and how long ``/build`` tries to start a server.
        temporary: makes users for visitors, where people without a login are let in; None where nobody is.
        cors_allow_origin: which pages of other sites may ask the APIs; empty for none.
        is_api_only: whether there are no pages.
        image_jobs: images that are built and pushed elsewhere.
        prepared: the list of prepared environments.
        refreshes: keeps those current.
        hooks: by what forges say that a repository of those has changed.
        named_builds, templates: what the APIs of older services keep.
        build_tokens: by which pages ask ``/build``.
        rates: knows how often somebody may ask.
        legacy: which of those APIs there are.
        banned: networks that are refused, with their labels.
        build_answers: what is answered for builds that have ended, by id, each with the record that it was made of.
        hosts: the names under which something may be started or changed, besides addresses; none if every name is right.
    """

    prefix: str
    hub_prefix: str
    hub_api_url: str
    builds: Builds
    accounts: HubAccounts
    cleaner: Cleaner
    contents: Contents
    controls: Controls
    copy_quota: CopyQuota
    providers: list[Provider]
    launches: Launches
    jinja: Environment
    pages: PageSettings
    metrics: Metrics
    events: Events
    health: Health
    builder_info: Mapping[str, str]
    image_jobs: ImageJobs
    prepared: PreparedEnvironments
    refreshes: Refreshes
    hooks: Hooks
    named_builds: NamedBuilds
    templates: Templates
    rates: Rates
    build_tokens: BuildTokens
    legacy: LegacySettings = LegacySettings()  # noqa: RUF009  # frozen
    attempts: Attempts = Attempts()  # noqa: RUF009  # frozen
    temporary: TemporaryUsers | None = None
    copies: WorkingCopies | None = None
    cors_allow_origin: str = ""
    is_api_only: bool = False
    hub_origin: str = ""
    banned: Mapping[Network, str] = field(default_factory=dict)
    hosts: frozenset[str] = frozenset()
    actions: Actions = field(default_factory=Actions)
    build_answers: LRUCache[str, tuple[Build, str]] = field(default_factory=lambda: LRUCache(_KEPT_ANSWERS))
