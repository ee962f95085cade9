"""Writes values.schema.json from schema.yaml, in which every object with `properties` refuses all others."""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent


def closed(part: Any) -> Any:
    """Return a part of the schema in which objects refuse properties that are not named."""
    if isinstance(part, list):
        return [closed(entry) for entry in part]
    if not isinstance(part, dict):
        return part
    inner = {key: {name: closed(value) for name, value in entry.items()} if key == "properties" else closed(entry) for key, entry in part.items()}
    return {"type": "object", "additionalProperties": False, **inner} if "properties" in part else inner


def made() -> str:
    """Return what values.schema.json has to be."""
    schema = yaml.safe_load((HERE / "schema.yaml").read_text())
    return json.dumps({"$schema": "http://json-schema.org/draft-07/schema#", **closed(schema)}, indent=1) + "\n"


if __name__ == "__main__":
    (HERE / "values.schema.json").write_text(made())
    sys.stdout.write("values.schema.json is written.\n")
