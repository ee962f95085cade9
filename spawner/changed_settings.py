"""What the operator's hooks have set on one spawner, given to another: the environment, limits, volumes ..."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jupyterhub.spawner import Spawner

Settings = Mapping[str, Any]
# The server's program, its folder and its options belong to the spawner itself.
_NOT_SHARED = frozenset({"cmd", "notebook_dir", "options_form", "options_from_form", "apply_user_options", "ip", "port"})


def settings_of(spawner: Spawner) -> Settings:
    """Return the settings that a spawner has a value of by now; what is only a default is not evaluated, because it may depend on later ones."""
    return {name: _copy(getattr(spawner, name)) for name in spawner.traits(config=True) if spawner.trait_has_value(name)}


def hand_over(spawner: Spawner, before: Settings, to: Spawner) -> None:
    """Set on `to` what has changed on `spawner` since `settings_of` returned `before`, as far as both have such a setting.

    Of a dict, what was added or changed is added to what `to` has.
    """
    for name in to.traits(config=True):
        if name in _NOT_SHARED or not spawner.has_trait(name) or not spawner.trait_has_value(name):
            continue
        then = before[name] if name in before else spawner.trait_defaults(name)
        now = _copy(getattr(spawner, name))
        if now == then:
            continue
        if isinstance(now, dict) and isinstance(then, dict) and isinstance(there := getattr(to, name), dict):
            now = {**there, **{key: value for key, value in now.items() if key not in then or then[key] != value}}
        setattr(to, name, now)


def _copy(value: Any) -> Any:
    """Return dicts and lists as new ones, with whatever else is in them as it is."""
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value
