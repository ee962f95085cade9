"""The hub's spawner class, made from the operator's: what starts repositories, and what starts everything else."""

from __future__ import annotations

from typing import Any

from jupyterhub.app import JupyterHub
from jupyterhub.spawner import LocalProcessSpawner, Spawner
from traitlets import TraitError
from traitlets.config import Config
from traitlets.config.loader import LazyConfigValue
from traitlets.utils.importstring import import_item

from .composed import ComposedSpawner
from .misconfigured import Misconfigured
from .mixin import RepoSpawner

NO_INTERNAL_SSL = (
    "JupyterHub.internal_ssl is set, but the service binder speaks plain http with hub and proxy: leave internal_ssl out, and let the service listen "
    "on loopback or in a network of the hub's own."
)
# What a hub starts servers with that sets no spawner class.
HUBS_DEFAULT: type[Spawner] = LocalProcessSpawner
# What a class replaces that starts servers in another way than the one it stands on.
_STARTING = ("start", "stop", "poll", "object_type")


def compose(c: Config, own: str, *, required: bool) -> None:
    """Make the hub's spawner class from the operator's, also from what is set later, while the hub reads its configuration.

    Args:
        c: the hub's configuration so far.
        own: the import string of the mode's class for servers from repositories.
        required: whether every server is made from a repository.

    Raises:
        Misconfigured: the operator's class cannot be composed.
    """
    app = JupyterHub.instance() if JupyterHub.initialized() else None
    if app is not None and "spawner_class" in app.cli_config.get("JupyterHub", {}):
        raise Misconfigured("A spawner class on the command line cannot be composed: set c.JupyterHub.spawner_class in the configuration file.")
    given = c.JupyterHub.get("spawner_class")
    if required and (given is None or isinstance(given, LazyConfigValue)):
        c.JupyterHub.spawner_class = own  # named, so that nothing of it is imported before it is needed
    else:
        c.JupyterHub.spawner_class = composed_class(_class_of(given), import_item(own), required=required)
    if app is not None:
        _compose_later_ones(app, c, own, required=required)


def refuse_internal_ssl(c: Config) -> None:
    """Refuse certificates between the parts of the hub, which the service does not have; where they are set later, the hub ends with the sentence.

    Raises:
        Misconfigured: they are set already.
    """
    if c.JupyterHub.get("internal_ssl") is True:
        raise Misconfigured(NO_INTERNAL_SSL)
    if JupyterHub.initialized():
        JupyterHub.instance().observe(_refuse, names="internal_ssl")


def _refuse(change: Any) -> None:
    if change["new"]:
        raise TraitError(NO_INTERNAL_SSL)


def composed_class(theirs: type[Spawner], own: type[RepoSpawner], *, required: bool = False) -> type[Spawner]:
    """Return a class of which servers without a repository are of `theirs`, and those from repositories of `own`.

    Where `theirs` starts servers as `own` does, e.g. as processes, those from repositories are of both: its methods and settings hold for them, too.

    Args:
        required: whether there are no servers without a repository.

    Raises:
        Misconfigured: `theirs` is such a class already.
    """
    if issubclass(theirs, ComposedSpawner):
        raise Misconfigured(f"{theirs.__name__} has repositories already: set c.JupyterHub.spawner_class to the class that it was made from.")
    if issubclass(theirs, RepoSpawner):
        return theirs
    both = _over(own, theirs)
    if required:
        return both
    body = {"__module__": ComposedSpawner.__module__, "__doc__": f"{theirs.__name__}, which starts servers from repositories as well."}
    return type(f"Composed{theirs.__name__}", (ComposedSpawner, theirs), {**body, "repo_class": both, "operators_class": theirs})


def _over(own: type[RepoSpawner], theirs: type[Spawner]) -> type[RepoSpawner]:
    """Return `own` with `theirs` between it and the class that both stand on, if both start servers in the same way; else `own`."""
    base = own.starts_as
    if issubclass(own, theirs) or not issubclass(theirs, base) or any(_differ(base, theirs, name) for name in _STARTING):
        return own
    return type(f"{own.__name__}Of{theirs.__name__}", (own, theirs), {"__module__": own.__module__, "__doc__": own.__doc__})


def _differ(base: type, theirs: type, name: str) -> bool:
    return getattr(base, name, None) is not getattr(theirs, name, None)


def _compose_later_ones(app: JupyterHub, c: Config, own: str, *, required: bool) -> None:
    """Have a class that is set after the call composed as well, while the hub takes its configuration up."""
    app.spawner_class = c.JupyterHub.spawner_class  # so that whatever else is set is a change

    def changed(change: Any) -> None:
        theirs = change["new"]
        if issubclass(theirs, ComposedSpawner | RepoSpawner):
            return  # ours, or one of the operator's own making
        app.spawner_class = composed_class(theirs, import_item(own), required=required)

    app.observe(changed, names="spawner_class")


def _class_of(given: Any) -> type[Spawner]:
    """Return the class that the operator means, by a class, an import string or the name of an entry point; by nothing the hub's default.

    Raises:
        Misconfigured: there is none.
    """
    if given is None or isinstance(given, LazyConfigValue):
        return HUBS_DEFAULT
    try:
        found: type[Spawner] = JupyterHub.class_traits()["spawner_class"].validate(JupyterHub, given)
    except (ImportError, AttributeError, TraitError) as error:
        raise Misconfigured(
            f"c.JupyterHub.spawner_class is {given!r}, which is no spawner that is installed: name a subclass of jupyterhub.spawner.Spawner."
        ) from error
    return found
