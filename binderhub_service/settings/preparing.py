"""Environments that are built ahead, for people to pick from."""

from __future__ import annotations

from typing import Any

from traitlets import Bool, Dict, Float, TraitError, Unicode, validate
from traitlets import List as ListTrait
from traitlets.config import Configurable

from ..builds.prepared import check
from ..errors import InvalidRequest
from ..models import PreparedEnvironment, now

_DAY_SECONDS = 24 * 3600
_KEYS = ("name", "repo", "ref", "description", "profile")


class Prepared(Configurable):
    """Prepared environments: built before somebody asks, kept, and refreshed."""

    environments = ListTrait(
        Dict(key_trait=Unicode(), value_trait=Unicode()),
        help="""The prepared environments that stand in the configuration; administrators add others while the service runs.

        A list of ``{"name": ..., "repo": ..., "ref": ..., "description": ..., "profile": ...}``, of which ``name`` and ``repo`` are needed.
        ``profile`` is the slug of a profile of Kubernetes mode (``profile_list``). Default: none. Example:
        ``[{"name": "course", "repo": "https://github.com/o/course", "ref": "main", "description": "Statistics, 2026"}]``.
        """,
    ).tag(config=True)
    only = Bool(
        False,
        help="""Whether people may use prepared environments only.

        Everything else is refused, also for administrators, who can add to the list. Default: false.
        """,
    ).tag(config=True)
    refresh_seconds = Float(
        _DAY_SECONDS,
        min=0,
        help="""How often each prepared environment is brought to the newest commit of its ref.

        It is looked at when the service starts as well, when its entry is changed, and when its webhook is called. A refresh that fails leaves the
        image that is there. In seconds. Default: 86,400, a day; 0 never by itself. Example: ``3600``.
        """,
    ).tag(config=True)

    @validate("environments")
    def _check_environments(self, proposal: Any) -> Any:
        names = [str(given.get("name", "")) for given in proposal["value"]]
        try:
            for given in proposal["value"]:
                if unknown := sorted(given.keys() - _KEYS):
                    raise InvalidRequest(f"There is no key {unknown[0]!r}; there are {', '.join(_KEYS)}.")
                check(_environment(given))
        except InvalidRequest as error:
            raise TraitError(f"Prepared.environments: {error.message} {error.hint or ''}".strip()) from error
        if len(set(names)) < len(names):
            raise TraitError("Prepared.environments: two of them have the same name.")
        return proposal["value"]

    def configured(self) -> list[PreparedEnvironment]:
        """Return the entries as `builds.prepared` takes them."""
        return [_environment(given) for given in self.environments]


def _environment(given: dict[str, str]) -> PreparedEnvironment:
    return PreparedEnvironment(**{"name": "", "repo": "", **given}, set_at=now())  # type: ignore[arg-type]  # texts by the names of fields
