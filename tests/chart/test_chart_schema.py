"""The schema of the chart's values is strict and tells what everything means."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kubernetes.chart.helm import CHART, REASON, HelmFailed, Values, packed, template


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packed(tmp_path_factory.mktemp("chart"))


def schema() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
    return content


def parts(values: Any, part: dict[str, Any], path: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Return every value's path with its part of the schema, {} if it has none; what is free below stays out."""
    found = [(path, part)]
    target = schema()["definitions"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part
    if isinstance(values, dict) and "properties" in target:
        for name, value in values.items():
            found += parts(value, target["properties"].get(name, {}), f"{path}.{name}")
    return found


def test_every_value_is_in_the_schema_with_a_description() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    undescribed = [path for path, part in parts(values, schema())[1:] if not part.get("description")]
    assert undescribed == []


def test_the_schema_refuses_unknown_keys_everywhere_and_is_the_one_that_is_written_down() -> None:
    def objects_in(part: Any) -> list[dict[str, Any]]:
        """Return objects with properties, but for the settings in `config`, whose names the templates check."""
        inner = [value for key, value in part.items() if key != "config"] if isinstance(part, dict) else part if isinstance(part, list) else []
        return ([part] if isinstance(part, dict) and "properties" in part else []) + [found for entry in inner for found in objects_in(entry)]

    closed = [part for part in objects_in(schema()) if not isinstance(part["properties"].get("properties"), dict)]
    assert closed
    open_to = {name for part in closed if part["additionalProperties"] is not False for name in part["properties"]}
    assert open_to == {"cpu", "memory", "ephemeral-storage"}, "nodes have other things as well"
    spec = importlib.util.spec_from_file_location("make_schema", CHART / "make_schema.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for path, text in module.made().items():
        assert path.read_text() == text, "run: python chart/make_schema.py"


@pytest.mark.skipif(bool(REASON), reason=REASON)
@pytest.mark.parametrize(
    "path", ["", "registry", "builder", "builder.image", "builder.resources.limits", "service.state", "networkPolicy", "monitoring", "jupyterhub.hub"]
)
def test_helm_refuses_a_key_that_is_not_known(chart: Path, path: str) -> None:
    values: Values = {"unknownKey": 1}
    for name in reversed(path.split(".") if path else []):
        values = {name: values}
    with pytest.raises(HelmFailed, match="unknownKey"):
        template(chart, {"registry": {"prefix": "r.example.org/x"}, **values})
