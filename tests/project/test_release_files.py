"""What is published is this code: the workflow, the chart that it makes, the chart's lock, and what an image of the hub may hold."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from importlib.metadata import requires
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from tests.kubernetes.chart.helm import CHART, ROOT

HUB_IMAGE = CHART / "images" / "hub"
# What the Dockerfile of the hub's image installs beside the package's own requirements.
EXTRAS = ("kubernetes", "oauth", "postgresql", "public")


def module(path: Path) -> ModuleType:
    """Return a program that belongs to no package, imported."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


release_chart = module(ROOT / "scripts" / "release_chart.py")
constraints = module(HUB_IMAGE / "constraints.py")


def test_the_charts_lock_has_the_digest_that_helm_makes_of_both_lists_of_dependencies() -> None:
    """Helm makes it of the JSON of two lists, Chart.yaml's and Chart.lock's, each entry's keys in this order and without those that are empty."""
    about, lock = (yaml.safe_load((CHART / name).read_text()) for name in ("Chart.yaml", "Chart.lock"))
    [wanted], [locked] = about["dependencies"], lock["dependencies"]
    keys = ("name", "version", "repository", "condition")
    text = json.dumps([[{key: entry[key] for key in keys if key in entry}] for entry in (wanted, locked)], separators=(",", ":"))
    assert lock["digest"] == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    assert locked["version"].startswith(wanted["version"].removeprefix("~").rpartition(".")[0])
    assert f"k8s-hub:{locked['version']}" in (HUB_IMAGE / "Dockerfile").read_text(), "the hub's image is that chart's"


def test_a_released_chart_names_the_images_that_were_published_with_it(tmp_path: Path) -> None:
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
    release_chart.main(version, "ghcr.io/example", tmp_path / "released")
    values = yaml.safe_load((tmp_path / "released" / "values.yaml").read_text())
    images = {image["name"]: image["tag"] for image in (values["builder"]["image"], values["jupyterhub"]["hub"]["image"])}
    assert images == {"ghcr.io/example/binderspawner-builder": version, "ghcr.io/example/binderspawner-hub": version}
    assert (tmp_path / "released" / "Chart.lock").exists()
    assert not (tmp_path / "released" / "images").exists()


@pytest.mark.parametrize("name", ["Dockerfile", "chart/images/builder/Dockerfile", "chart/images/hub/Dockerfile"])
def test_what_the_code_requires_is_installed_below_the_code(name: str) -> None:
    """So that a change of the code alone neither installs nor moves all that again."""
    below, code, above = (ROOT / name).read_text().partition("COPY binderhub_service ")
    assert code
    assert "setup.py" in below
    assert "pip install" in below
    assert all("--no-deps" in line for line in above.splitlines() if "pip install" in line)


def test_only_the_codes_own_version_can_be_released(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"This is not version 9.9.9: setup.py says .+, chart/Chart.yaml says .+, chart/Chart.yaml's appVersion"):
        release_chart.main("9.9.9", "ghcr.io/example", tmp_path / "released")
    with pytest.raises(ValueError, match="binderspawner-hub 0 times"):
        release_chart.values_for("builder: {}", "1.0.0", "ghcr.io/example")


def test_the_workflow_runs_what_is_there_with_no_more_rights_than_it_needs() -> None:
    workflow: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "publish.yaml").read_text())
    assert workflow["permissions"] == {}
    [job] = workflow["jobs"].values()
    assert job["permissions"] == {"contents": "read", "packages": "write"}
    scripts = "\n".join(step.get("run", "") for step in job["steps"])
    assert "${{" not in scripts, "what an expression says would be run"
    named = {path for name in ("hub", "builder") for path in re.findall(r"(?:scripts|chart)/[\w./-]+", scripts.replace("$name", name))}
    assert named == {"scripts/release_chart.py", "chart/images/hub/Dockerfile", "chart/images/builder/Dockerfile"}
    assert [path for path in named if not (ROOT / path).is_file()] == []


def test_an_image_of_the_hub_can_have_all_that_the_package_requires() -> None:
    lines = (HUB_IMAGE / "constraints.txt").read_text().splitlines()
    versions = {constraints.same(line.partition("==")[0]): re.split(r"[\s;]", line.partition("==")[2])[0] for line in lines if "==" in line}
    assert f"[{','.join(EXTRAS)}]" in (HUB_IMAGE / "Dockerfile").read_text()
    needed = [Requirement(text) for text in requires("binderspawner") or []]
    for requirement in needed:
        if not requirement.marker or any(requirement.marker.evaluate({"extra": extra}) for extra in EXTRAS):
            assert requirement.specifier.contains(versions[constraints.same(requirement.name)]), requirement


def test_what_zero_to_jupyterhub_has_frozen_stays_and_what_is_moved_is_told() -> None:
    there = {"jupyterhub": "5.5.0", "kubernetes-asyncio": "33.3.0", "old": "1.0"}
    text = "# A comment\njupyterhub==6.1.1\nkubernetes_asyncio==36.1.0  # moved\nold==2.0\nnew-one==3.0 ; sys_platform != 'win32'\n"
    assert constraints.constraints(there, text) == (
        ["jupyterhub==5.5.0", "kubernetes-asyncio==36.1.0", "old==1.0", "new-one==3.0 ; sys_platform != 'win32'"],
        ["kubernetes-asyncio is moved from 33.3.0 to 36.1.0."],
    )
    assert constraints.constraints({"kubernetes-asyncio": "36.2.0"}, text)[0][0] == "kubernetes-asyncio==36.2.0", "nothing is moved back"
