"""Layers for the next build: under which name, of what steps, and what is not believed."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from binderhub_service.clients.contents import CONTEXT
from binderhub_service.clients.oci import json_in
from binderhub_service.errors import BuildFailed
from binderhub_service.worker.job import Job, ProcessLimits
from binderhub_service.worker.pod_job import PodSettings
from binderhub_service.worker.recipes.buildah import registries_text
from binderhub_service.worker.recipes.layer_cache import Step, images_of_steps, name_of_layers, steps_in
from tests.harness.records import build

SETTINGS = PodSettings(image_prefix="registry.example.org/binder-", layer_cache=True)
LAYERS = [{"digest": f"sha256:{letter * 64}", "size": 10} for letter in "abc"]
WHOLE: dict[str, Any] = {
    "architecture": "amd64",
    "os": "linux",
    "config": {"User": "1000"},
    "rootfs": {"diff_ids": ["one", "two", "three"]},
    "history": [{"created": f"2026-01-0{day}T00:00:00Z", "created_by": f"RUN {day}"} for day in (1, 2, 3)],
}


def job(**source: Any) -> Job:
    asked = build()
    return Job.of(replace(asked, source=replace(asked.source, **source)), Path("/work"), "", SETTINGS, ProcessLimits())


def fetched(folder: Path, steps: Any) -> Path:
    """Write what an earlier build is said to have left."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**WHOLE, "binder.steps": steps}))
    (folder / "manifest.json").write_text(json.dumps({"config": {}, "layers": LAYERS}))
    return folder


def test_layers_belong_to_one_repository_and_ref_and_to_no_commit_that_is_asked_for_by_its_hash() -> None:
    names = [name_of_layers(job(**source), SETTINGS) for source in ({}, {"ref": "other"}, {"repo": "https://git.example.org/o/other"})]
    assert len(set(names)) == 3
    assert all(name.startswith("registry.example.org/binder-layers:") for name in names)
    assert name_of_layers(job(commit="f" * 40), SETTINGS) == names[0]
    assert name_of_layers(job(ref=build().source.commit), SETTINGS) == ""
    assert name_of_layers(job(), replace(SETTINGS, layer_cache=False)) == ""
    assert name_of_layers(job(repo=f"upload:{build().source.commit}"), SETTINGS) == ""
    assert name_of_layers(job(url=CONTEXT), SETTINGS) == ""


def test_a_step_is_what_the_whole_image_began_as() -> None:
    part = {**WHOLE, "rootfs": {"diff_ids": ["one"]}, "history": WHOLE["history"][:2], "config": {"User": "0"}}
    assert Step.of(part, WHOLE) == Step(2, 1, {"User": "0"})
    assert Step.of(WHOLE, WHOLE) is None
    assert Step.of({**part, "rootfs": {"diff_ids": ["other"]}}, WHOLE) is None
    assert Step.of({**part, "history": [{"created_by": "RUN other"}]}, WHOLE) is None


def test_steps_become_images_that_buildah_takes_the_longest_first(tmp_path: Path) -> None:
    steps = [asdict(Step(1, 1, {"User": "0"})), asdict(Step(2, 2, {"User": "1"}))]
    found = []
    for place in images_of_steps(fetched(tmp_path / "fetched", steps), tmp_path / "made"):
        folder = Path(place.removeprefix("dir:"))
        manifest = json_in((folder / "manifest.json").read_bytes())
        config = json_in((folder / manifest["config"]["digest"].removeprefix("sha256:")).read_bytes())
        found.append((len(manifest["layers"]), config["config"]["User"], len(config["history"]), config["rootfs"]["diff_ids"]))
    assert found == [(2, "1", 2, ["one", "two"]), (1, "0", 1, ["one"])]
    assert list(images_of_steps(tmp_path / "nothing", tmp_path / "more")) == []


@pytest.mark.parametrize(
    "steps", [None, {"a": 1}, 3, [3], [{"history": "x", "layers": 1, "config": {}}], [{"history": 0, "layers": 1, "config": {}}]]
)
def test_steps_that_make_no_sense_are_refused(tmp_path: Path, steps: Any) -> None:
    with pytest.raises(BuildFailed, match="steps cannot be read"):
        list(images_of_steps(fetched(tmp_path / "fetched", steps), tmp_path / "made"))


def test_steps_that_a_build_leaves_are_a_small_file_and_no_link(tmp_path: Path) -> None:
    file, link = tmp_path / "steps.json", tmp_path / "link"
    file.write_text("[]")
    link.symlink_to(file)
    assert steps_in(file) == []
    for content in ("{", "[" * 100_000, "[" + " " * 3_000_000 + "]"):
        file.write_text(content)
        with pytest.raises(BuildFailed):
            steps_in(file)
    with pytest.raises(BuildFailed):
        steps_in(link)


def test_mirrors_come_before_their_registry_and_may_speak_plain_http() -> None:
    text = registries_text(["mirror:5000"], {"docker.io": ["mirror:5000/hub", "other.example.org"]})
    mirrors = ('location = "mirror:5000/hub"\ninsecure = true', 'location = "other.example.org"\ninsecure = false')
    assert text.split("[[registry]]\n")[2] == "\n[[registry.mirror]]\n".join(['location = "docker.io"\ninsecure = false', *mirrors]) + "\n"
