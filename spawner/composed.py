"""ComposedSpawner: the operator's own spawner, which starts servers from repositories as well; every other server is the operator's."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from jupyterhub.roles import get_roles_for, roles_to_scopes
from jupyterhub.utils import maybe_future
from traitlets.config import LoggingConfigurable

from . import form
from .build_token import BUILD_SCOPE
from .changed_settings import Settings, hand_over, settings_of
from .mixin import STATE_KEY, RepoSpawner
from .rejection import Rejection
from .repo_form import NO_START_BY_LINK

if TYPE_CHECKING:
    from jupyterhub.spawner import Spawner as _NextInLine
else:
    # A leaf names the operator's spawner; jupyterhub's own base class refuses to be mixed in unfinished.
    _NextInLine = LoggingConfigurable

# What the hub gives to a spawner for each start.
_OF_THE_HUB = ("api_token", "admin_access", "handler", "cert_paths", "user_options")


class ComposedSpawner(_NextInLine):
    """``class Composed(ComposedSpawner, OperatorsSpawner)`` with a `repo_class`; `composition` makes such classes.

    The object is the operator's spawner, and stays it for every start without a repository: form, options, hooks, state and process are
    that class's own. A start whose options name a repository is done by a second spawner, of `repo_class`, which this one holds: it has
    what the hub and the operator's hooks have set on this one, and which of the two a running server belongs to is in its state.
    """

    repo_class: ClassVar[type[RepoSpawner]]
    operators_class: ClassVar[type]

    start_timeout: int
    _given: Mapping[str, Any]
    _settings: Settings
    _made: RepoSpawner | None = None
    # Whether the server that runs, or is being started or stopped, is the other spawner's.
    _is_of_repository = False

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._given = given
        self._settings = settings_of(self)

    @property
    def _repository(self) -> RepoSpawner:
        """The spawner of servers from repositories."""
        if self._made is None:
            self._made = self.repo_class(**self._given)
        return self._made

    # What is asked for

    async def get_options_form(self) -> str:
        """Return the operator's form, with a section for a repository for those who may build.

        Where the operator has no form, the hub starts servers without asking; then there is one only for somebody who comes with a
        repository, or whose last server was made from one.
        """
        theirs = str(await maybe_future(super().get_options_form()) or "")
        came_with_one = form.is_about_repository() or names_repository(self.user_options)
        if not came_with_one and not (theirs and self._may_build()):
            return theirs
        repository = self._repository
        self._pass_on(repository)
        if not names_repository(self.user_options):
            repository.user_options = {}
        # The operator's form has what its class offers already.
        return theirs + await repository.get_section(has_choices=bool(theirs) and isinstance(repository, self.operators_class))

    def _may_build(self) -> bool:
        return BUILD_SCOPE in roles_to_scopes(get_roles_for(self.user.orm_user))

    def run_options_from_form(self, form_data: Mapping[str, Sequence[Any]]) -> Any:
        """Return the options to store: of a repository if the section names one, else what the operator's spawner makes of the other fields."""
        section, others = form.parted(form_data)
        if not any("".join(map(str, section.get(name, ()))).strip() for name in ("repo", "prepared")):
            return super().run_options_from_form(others)
        form.remember({name: str(values[0]) for name, values in section.items() if values})
        return self._repository_options(section, others)

    async def _repository_options(self, section: Mapping[str, Sequence[Any]], others: Mapping[str, Sequence[Any]]) -> dict[str, str]:
        choices = await self._repository.get_choices()
        chosen = {name: others[name] for name in choices.names if name in others}
        return await self._repository.run_options_from_form({**chosen, **section})

    def options_from_query(self, query_data: Mapping[str, Sequence[str]]) -> Any:
        """Return what the operator's spawner makes of a link; one with a repository starts nothing."""
        if form.is_about_repository():
            raise Rejection(400, NO_START_BY_LINK)
        return super().options_from_query(query_data)

    async def run_auth_state_hook(self, auth_state: Any) -> None:
        """Run the operator's hook, then take a repository out of a link's query, as `RepoSpawner` does; other links are the operator's."""
        await super().run_auth_state_hook(auth_state)
        if self.handler is not None and self.handler.request.method == "GET" and form.link_names_repository(self.handler.request):
            form.take_link(self.handler.request, await self._repository.get_choices())

    # The start

    async def apply_group_overrides(self) -> None:
        """Find out what is to be started, which is known from here on; then do what the hub does for this person's groups."""
        self._is_of_repository = names_repository(self.user_options)
        await super().apply_group_overrides()

    async def _run_apply_user_options(self, user_options: Any) -> None:
        """Leave a repository's options to the spawner that knows them."""
        if not self._is_of_repository:
            await super()._run_apply_user_options(user_options)

    def start(self) -> Any:
        """Start the server; of a repository, by the other spawner, with all that the hub and the operator's hooks have set.

        A plain function, because the hub reads `start_timeout` right after calling it, see `RepoSpawner.start`.
        """
        if not self._is_of_repository:
            return super().start()
        repository = self._repository
        self._pass_on(repository)
        repository.server = self.server  # the same object, on which the hub notes where the server answers
        hand_over(self, self._settings, repository)
        own_timeout_seconds = self.start_timeout
        starting = repository.start()
        self.start_timeout = repository.start_timeout
        return self._started(repository, starting, own_timeout_seconds)

    async def _started(self, repository: RepoSpawner, starting: Awaitable[Any], own_timeout_seconds: int) -> Any:
        self.start_timeout = own_timeout_seconds
        try:
            return await starting
        finally:
            repository.handler = None

    def _pass_on(self, repository: RepoSpawner) -> None:
        """Give the other spawner what the hub has given to this one."""
        for name in _OF_THE_HUB:
            setattr(repository, name, getattr(self, name))

    def progress(self) -> AsyncGenerator[dict[str, Any]]:
        """Return the progress of the spawner that starts the server; the hub may ask before it has begun."""
        of_repository = self._is_of_repository or names_repository(self.user_options)
        return self._repository.progress() if of_repository else super().progress()

    # What has become of it

    def poll(self) -> Any:
        """Return, for a coroutine to await, whether the server runs."""
        return self._repository.poll() if self._is_of_repository else super().poll()

    def stop(self, now: bool = False) -> Any:
        """Stop the server."""
        return self._repository.stop(now=now) if self._is_of_repository else super().stop(now=now)

    def move_certs(self, paths: Any) -> Any:
        """Put the server's certificates where its spawner has them."""
        return self._repository.move_certs(paths) if self._is_of_repository else super().move_certs(paths)

    def get_state(self) -> dict[str, Any]:
        """Return the state of the spawner that the server belongs to, as if there were no other one."""
        state: dict[str, Any] = self._repository.get_state() if self._is_of_repository else super().get_state()
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up what `get_state` returned, or what a hub without this class, or one for repositories only, has stored."""
        self._is_of_repository = STATE_KEY in state
        if not self._is_of_repository:
            super().load_state(state)
            return
        super().load_state({})
        self._repository.load_state(state)

    def clear_state(self) -> None:
        """Forget the server; the next one may be of either kind."""
        super().clear_state()
        if self._made is not None:
            self._made.clear_state()
        self._is_of_repository = False

    async def delete_forever(self) -> None:
        """Let both spawners do with what is left of a deleted account what they are told to."""
        await maybe_future(super().delete_forever())
        await maybe_future(self._repository.delete_forever())


def names_repository(options: Any) -> bool:
    """Say whether options that the hub has stored, or was sent, ask for a server from a repository."""
    return isinstance(options, Mapping) and "repo" in options
