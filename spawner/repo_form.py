"""The half of a spawner from repositories that asks: the form, what was submitted, what a link may do."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from traitlets import Any as AnyTrait
from traitlets import default
from traitlets.config import LoggingConfigurable

from binderhub_service.common.refusal import Refused

from . import form
from .choices import NO_CHOICES, Choices
from .notices import told_to_form
from .options import options_from_form
from .rejection import Rejection
from .service_address import public_service

if TYPE_CHECKING:
    from jupyterhub.spawner import Spawner as _NextInLine
else:
    # A leaf names the spawner that comes behind this class; jupyterhub's own base class refuses to be mixed in unfinished.
    _NextInLine = LoggingConfigurable

NO_START_BY_LINK = "A link cannot start a server. Check what the form says, then press Start."


class RepoForm(_NextInLine):
    """Asks people for a repository, and refuses what is wrong with what they say; `mixin.RepoSpawner` starts the server."""

    binder_url: str
    # The hub assigns whatever JSON it was sent before it asks anything of ours: what is no object is refused as any other mistake is.
    user_options = AnyTrait()

    async def get_choices(self) -> Choices:
        """Return what people may choose besides the repository; a leaf that offers something overrides it."""
        return NO_CHOICES

    async def get_options_form(self) -> str:
        """Return the form's fields, filled with what this request brought, else with what the server was made from before."""
        return await self._fields(await self.get_choices())

    async def get_section(self, *, has_choices: bool) -> str:
        """Return the fields as a section beside another form, where the repository may be left out.

        Args:
            has_choices: whether the other form has what is to be chosen besides.
        """
        return await self._fields(await self.get_choices(), beside="choices" if has_choices else "form")

    async def _fields(self, choices: Choices, beside: str = "") -> str:
        return form.render(
            self.user_options,
            choices,
            beside,
            *await told_to_form(self, self.binder_url),
            service=self._public_service(),
            hub=self.hub.base_url,
            user=self.user.name,
            server=self.name,
        )

    def run_options_from_form(self, form_data: Mapping[str, Sequence[Any]]) -> Awaitable[dict[str, str]]:
        """Return the options to store, from a submitted form; what is wrong with them, the hub shows above the form.

        A plain function, because the hub waits for what it returns in another context than that of the form.
        """
        form.remember({name: str(values[0]) for name, values in form_data.items() if values})
        return self._options_of(form_data)

    async def _options_of(self, form_data: Mapping[str, Sequence[Any]]) -> dict[str, str]:
        try:
            return options_from_form(form_data, await self.get_choices()).as_user_options()
        except Refused as error:
            raise Rejection(400, error.sentence) from None

    def options_from_query(self, query_data: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """Refuse to start a server by a mere link: the hub shows the form with this sentence."""
        raise Rejection(400, NO_START_BY_LINK)

    async def run_auth_state_hook(self, auth_state: Any) -> None:
        """Run the operator's hook, then keep links from starting servers.

        SpawnHandler._get of jupyterhub 5.5 and 6.1 calls this right before it reads the query, having set `handler`; it
        spawns if any argument is left by then, and shows the form if none is. Should a later hub change the order,
        `options_from_query` still refuses.
        """
        await super().run_auth_state_hook(auth_state)
        if self.handler is not None and self.handler.request.method == "GET":
            form.take_link(self.handler.request, await self.get_choices())

    @default("user_options")
    def _no_options(self) -> dict[str, Any]:
        return {}

    def _public_service(self) -> str:
        return public_service(self.binder_url, self.handler.settings if self.handler is not None else {})
