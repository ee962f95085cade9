"""Writes values.schema.json from schema.yaml and from the service's settings.

Every object with `properties` refuses all others, and wants those that have a default in values.yaml.

What `config` may hold is made from the traits: their types go into the schema, which helm checks first; their names into files/settings.json, by
which the chart's templates refuse a wrong one and name the nearest right one.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from traitlets import Bool, Dict, Enum, Float, Int, List, TraitType, Unicode
from traitlets.config import Configurable

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from binderhub_service.app import classes_with_settings  # noqa: E402  # the clone's own code, wherever this is started
from binderhub_service.modes.kubernetes import KubernetesMode  # noqa: E402

VALUES, SCHEMA, SETTINGS = HERE / "values.yaml", HERE / "values.schema.json", HERE / "files" / "settings.json"
# Classes of other projects, and what an application has of theirs; which settings these have depends on what is installed.
FREE = ("EventLogger", "HubAuth", "HubOAuth")
OF_APPLICATIONS = ("log_datefmt", "log_format", "log_level")
OWN = "binderhub_service."
KINDS: dict[type[TraitType[Any, Any]], str] = {
    Unicode: "string",
    Int: "integer",
    Float: "number",
    Bool: "boolean",
    List: "array",
    Dict: "object",
}


def closed(part: Any) -> Any:
    """Return a part of the schema in which objects refuse properties that are not named."""
    if isinstance(part, list):
        return [closed(entry) for entry in part]
    if not isinstance(part, dict):
        return part
    inner = {key: {name: closed(value) for name, value in entry.items()} if key == "properties" else closed(entry) for key, entry in part.items()}
    return {"type": "object", "additionalProperties": False, **inner} if "properties" in part else inner


def complete(part: dict[str, Any], defaults: Mapping[str, Any]) -> None:
    """Require in a section all that has a default: helm takes a null, e.g. a section with nothing below its name, for the wish to remove it."""
    known = part.get("properties", {})
    part["required"] = sorted(
        name for name, value in defaults.items() if name in known and value is not None and "null" not in known[name].get("type", "")
    )
    for name in part["required"]:
        if isinstance(defaults[name], dict) and "properties" in known[name]:
            complete(known[name], defaults[name])


def sections() -> Iterator[type[Configurable]]:
    """Yield the classes that `config` may name."""
    for cls in classes_with_settings([KubernetesMode]):
        yield from (base for base in cls.mro() if base.__module__.startswith(OWN) and issubclass(base, Configurable))


def traits() -> dict[str, dict[str, TraitType[Any, Any]]]:
    """Return all settings by class and name."""
    by_name = {cls.__name__: _own_traits(cls) for cls in sections()}
    return {name: by_name[name] for name in sorted(by_name) if by_name[name]}


def _own_traits(cls: type[Configurable]) -> dict[str, TraitType[Any, Any]]:
    every = cls.class_traits(config=True)
    return {name: every[name] for name in sorted(every) if name in OF_APPLICATIONS or (every[name].this_class or cls).__module__.startswith(OWN)}


def kind_of(trait: TraitType[Any, Any]) -> dict[str, Any]:
    """Return what a trait takes, as a schema; {} if JSON cannot say."""
    if isinstance(trait, Enum):
        return {"enum": list(trait.values)}
    name = next((name for kind, name in KINDS.items() if isinstance(trait, kind)), None)
    if name is None:
        return {}
    least = getattr(trait, "min", None)
    bounds = {"minimum": least} if name in {"integer", "number"} and least is not None else {}
    items = {"items": kind_of(trait._trait)} if isinstance(trait, List) and trait._trait else {}
    return {"type": [name, "null"] if trait.allow_none else name, **bounds, **items}


def settings_schema() -> dict[str, Any]:
    """Return what each class in `config` takes; names that are not there are refused by the templates, with the nearest one."""
    return {
        name: {"type": "object", "properties": {trait: kind_of(value) for trait, value in settings.items() if kind_of(value)}}
        for name, settings in traits().items()
    }


def made() -> dict[Path, str]:
    """Return what the files have to be."""
    schema = closed(yaml.safe_load((HERE / "schema.yaml").read_text()))
    complete(schema, yaml.safe_load(VALUES.read_text()))
    schema["properties"]["config"]["properties"] = settings_schema()
    names = {name: sorted(settings) for name, settings in traits().items()} | {name: [] for name in FREE}
    return {
        SCHEMA: json.dumps({"$schema": "http://json-schema.org/draft-07/schema#", **schema}, indent=1) + "\n",
        SETTINGS: json.dumps(names, indent=1, sort_keys=True) + "\n",
    }


if __name__ == "__main__":
    for path, text in made().items():
        path.write_text(text)
        sys.stdout.write(f"{path.name} is written.\n")
