"""Puts the service together from its settings; what differs between modes is in `modes`, and nothing else asks for the mode."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path

from .app import BinderService
from .builders import Builder
from .builds.builds import Builds
from .builds.cleaner import Cleaner
from .builds.controls import Controls
from .builds.copy_quota import CopyQuota
from .builds.hooks import Hooks
from .builds.image_jobs import ImageJobs
from .builds.launch_places import LaunchPlaces
from .builds.named import NamedBuilds
from .builds.observers import Observers
from .builds.prepared import PreparedEnvironments
from .builds.prepared_provider import PreparedProvider
from .builds.rates import Rates
from .builds.refreshes import Refreshes
from .builds.templates import Templates
from .clients.contents import ContentLimits, Contents
from .common.private import cookie_secret, keep_secret
from .context import AppContext
from .handlers.launch_hook import before_launch
from .handlers.rendering import make_jinja
from .hub_auth import HubOAuth
from .images import Images
from .images.uv_cache import UvCache
from .launches.accounts import HubAccounts
from .launches.hub_groups import HubGroups
from .launches.hub_users import HubUsers
from .launches.launches import Launches
from .launches.running_servers import HubServers
from .launches.temporary_users import TemporaryUsers
from .modes import mode_class
from .modes.base import Mode
from .monitoring.actions import Actions
from .monitoring.health import Check, Health, check_hub
from .monitoring.launch_events import Emit, Events, ignore
from .monitoring.metrics import Metrics
from .process.tasks import Tasks
from .providers import Provider, provider_class
from .providers.ls_remote import LsRemote
from .settings import BuildToken, Cleaning, Launcher, LaunchQuota, LegacyApis, Limits, Pages, Prepared, RateLimiter, Server, UrlGuard
from .store.caching import CachingStore
from .store.controls import ControlTable
from .store.image_jobs import ImageJobTable
from .store.named_builds import NamedBuildTable
from .store.prepared import PreparedTable
from .store.rates import RateTable
from .store.space import Space
from .store.store import Store
from .store.templates import TemplateTable
from .store.temporary_users import TemporaryUserRecords
from .working_copies import WorkingCopies

EMBEDDED_AND_PUBLIC = (
    "PUBLIC AND EMBEDDED: everybody who can reach this hub runs code as the user of this process, on this machine, with all that user may "
    "read and write. Never let strangers reach it: use docker mode or Kubernetes for them."
)


@dataclass(frozen=True)
class Base:
    """Builds, and what they are made with."""

    mode: Mode
    images: Images
    builder: Builder
    providers: list[Provider]
    contents: Contents
    controls: Controls
    prepared: PreparedEnvironments
    space: Space
    uv_cache: UvCache | None
    copies: WorkingCopies | None
    builds: Builds


class Assembly:
    """Makes what the service consists of.

    Args:
        settings: those of the service, with those of all other classes behind them.
    """

    def __init__(self, settings: BinderService) -> None:
        self._settings = settings

    async def make_store(self, metrics: Metrics) -> Store:
        """Return the store, which is not open yet; raises `Unavailable` if the settings name no database that can be used."""
        return CachingStore(self._settings.database, metrics.note_store, self._settings.database_timeout_seconds)

    def make_providers(self, git_logins: Path | None = None) -> list[Provider]:
        """Return the providers, in the order of lists.

        Args:
            git_logins: a file in the format of Git's credential store.
        """
        git = LsRemote(timeout_seconds=self._settings.git_timeout_seconds, logins=git_logins, rules=UrlGuard(parent=self._settings).rules())
        return [provider_class(name)(git, parent=self._settings) for name in self._settings.providers]

    def make_events(self) -> Events:
        """Return what tells the handlers in `EventLogger.handlers` of launches and builds."""
        return Events(self._emit())

    def _emit(self) -> Emit:
        """Return what tells the handlers in `EventLogger.handlers` of an event."""
        if "EventLogger" not in self._settings.config:
            return ignore
        adapter = importlib.import_module(f"{__package__}.monitoring.event_logger")
        emit: Emit = adapter.emit_by(adapter.EventLogger(parent=self._settings))
        return emit

    def make_temporary_users(self, store: Store, hub_auth: HubOAuth, abandoned_seconds: float) -> TemporaryUsers:
        """Return what makes users for visitors, and says once what that means."""
        if self._settings.mode == "embedded":
            self._settings.log.warning(EMBEDDED_AND_PUBLIC)
        hub = HubUsers(hub_auth.api_url, hub_auth.api_token)
        return TemporaryUsers(hub, TemporaryUserRecords(store), cookie_secret(self._settings.state), abandoned_seconds)

    def make_context(self, store: Store, hub_auth: HubOAuth, metrics: Metrics, tasks: Tasks) -> AppContext:
        """Put everything together."""
        emit = self._emit()
        events, actions = Events(emit), Actions(emit)
        groups = HubGroups(hub_auth.api_url, hub_auth.api_token)
        base = self._make_base(store, Observers(metrics, events, actions), groups)
        builds, providers, contents = base.builds, base.providers, base.contents
        metrics.watch(builds, providers, tasks, base.space, base.uv_cache, base.copies)
        servers = HubServers(hub_auth.api_url, hub_auth.api_token)
        accounts = HubAccounts(hub_auth.api_url, hub_auth.api_token, builds.note_rename)
        launcher = Launcher(parent=self._settings)
        named_builds = NamedBuilds(NamedBuildTable(store), builds)
        checks: dict[str, Check] = {
            **base.images.checks(),
            "JupyterHub API": lambda: check_hub(hub_auth.api_url),
            "store": store.check_write,
            "disk": base.space.check,
            "builder": base.builder.check,
            "tasks": tasks.check,
        }
        quota = LaunchQuota(parent=self._settings).quota()
        health = Health(checks, advice={"accounts": accounts.check}, quota=quota, servers=servers.count, builds=lambda: builds.counts()["running"])
        return AppContext(
            prefix=hub_auth.base_url,
            hub_prefix=hub_auth.hub_host + hub_auth.hub_prefix,
            hub_origin=hub_auth.hub_host,
            hub_api_url=hub_auth.api_url,
            builds=builds,
            accounts=accounts,
            actions=actions,
            cleaner=self._make_cleaner(store, base, actions),
            contents=contents,
            copies=base.copies,
            copy_quota=self._make_copy_quota(base),
            controls=base.controls,
            providers=providers,
            launches=self._make_launches(hub_auth, base, launcher, servers),
            attempts=launcher.attempts(),
            temporary=None if self._settings.auth_enabled else self.make_temporary_users(store, hub_auth, launcher.abandoned_seconds),
            jinja=make_jinja(self._settings.template_paths),
            pages=Pages(parent=self._settings).page_settings(),
            metrics=metrics,
            events=events,
            health=health,
            builder_info={"mode": self._settings.mode, **base.mode.builder_info()},
            image_jobs=ImageJobs(ImageJobTable(store), builds, base.images),
            prepared=base.prepared,
            refreshes=Refreshes(base.prepared, builds, Prepared(parent=self._settings).refresh_seconds, events.note_prepared),
            hooks=Hooks(cookie_secret(self._settings.state)),
            named_builds=named_builds,
            templates=Templates(TemplateTable(store), named_builds),
            rates=Rates(RateLimiter(parent=self._settings).limits(), RateTable(store), cookie_secret(self._settings.state)),
            build_tokens=BuildToken(parent=self._settings).tokens(cookie_secret(self._settings.state)),
            legacy=LegacyApis(parent=self._settings).legacy_settings(),
            cors_allow_origin=self._settings.cors_allow_origin,
            is_api_only=self._settings.enable_api_only_mode,
            banned=Server(parent=self._settings).banned(),
            hosts=Server(parent=self._settings).names(),
        )

    def _make_base(self, store: Store, observer: Observers, groups: HubGroups) -> Base:
        """Make what builds are made with."""
        settings = self._settings
        limits = Limits(parent=settings)
        mode = mode_class(settings.mode)(parent=settings)
        images, builder = mode.make(settings.state, limits.for_processes(UrlGuard(parent=settings).rules()))
        providers = self.make_providers(keep_secret(settings.state / "git-credentials", mode.git_credentials))
        contents = Contents(settings.state, ContentLimits(limits.file_bytes, Cleaning(parent=settings).file_seconds))
        for provider in providers:
            provider.find_digest = images.finder()
            provider.contents = contents
        prepared = PreparedEnvironments(PreparedTable(store), Prepared(parent=settings).configured(), only=Prepared(parent=settings).only)
        providers.append(PreparedProvider(prepared, parent=settings))
        controls = Controls(ControlTable(store), groups.of)
        space = Space(settings.state, limits.free_bytes, store.reusable_bytes)
        builds = Builds(
            store=store,
            providers=providers,
            images=images,
            builder=builder,
            limits=limits.for_builds(),
            space=space,
            observer=observer,
            controls=controls,
            prepared=prepared,
        )
        uv_cache, copies = mode.uv_cache(settings.state), mode.working_copies(settings.state)
        return Base(mode, images, builder, providers, contents, controls, prepared, space, uv_cache, copies, builds)

    def _make_cleaner(self, store: Store, base: Base, actions: Actions) -> Cleaner:
        return Cleaner(
            store=store,
            images=base.images,
            builds=base.builds,
            budget=Cleaning(parent=self._settings).budget(base.mode.image_seconds()),
            locks=self._lock_folders(),
            contents=base.contents,
            image_jobs=ImageJobTable(store),
            kept=base.prepared.images,
            uv_cache=base.uv_cache,
            copies=base.copies,
            note_removed=actions.note_removed,
            note_copy_removed=actions.note_copy_removed,
        )

    def _make_copy_quota(self, base: Base) -> CopyQuota:
        allowed_bytes = LaunchQuota(parent=self._settings).person_bytes
        if allowed_bytes and base.copies is None:
            self._settings.log.warning("LaunchQuota.person_bytes bounds nothing here: people's files are not in the state directory.")
        return CopyQuota(base.copies, base.controls, allowed_bytes, Cleaning(parent=self._settings).interval_seconds)

    def _make_launches(self, hub_auth: HubOAuth, base: Base, launcher: Launcher, servers: HubServers) -> Launches:
        quota = LaunchQuota(parent=self._settings)
        return Launches(
            hub_auth.api_url,
            hub_auth.hub_host + hub_auth.hub_prefix,
            base.providers,
            controls=base.controls,
            places=LaunchPlaces(quota.quota(), servers.running, wait_seconds=quota.wait_seconds),
            before=before_launch(launcher.pre_launch_hook, launcher) if launcher.pre_launch_hook else None,
            answer_seconds=launcher.answer_seconds,
        )

    def _lock_folders(self) -> list[Path]:
        """Return where builds leave the files of their locks."""
        return [self._settings.state / "environments" / ".made", self._settings.state / "locks"]
