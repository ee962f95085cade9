"""One environment for many commits, made in real pods: built once, with each commit's content on top of it in the registry."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.harness.git_server import Repository
from tests.kubernetes.images import small_image
from tests.kubernetes.kubectl import run
from tests.kubernetes.pods.builder_pods import BuilderPods, Pushed, repositories

New = Callable[..., Repository]


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
async def test_the_next_commit_takes_the_environment_as_it_is(
    stand_in_builds: BuilderPods, builds_namespace: str, new_repository: New, compression: str
) -> None:
    builder_pods = stand_in_builds
    settings = {"base_image": small_image(), "layer_compression": compression}
    repository = new_repository({"requirements.txt": "numpy\n", "old.ipynb": "1", "keep.txt": "k", "start": 'exec "$@"\n'})
    first = await builder_pods.build(builder_pods.ask(repository.url, repository.rev("main")), **settings)
    assert first.error is None, (first.error, first.text)
    commit = repository.commit({"old.ipynb": None, "new.ipynb": "2", "run.sh": "#!/bin/sh\n"})
    second = await builder_pods.build(builder_pods.ask(repository.url, commit), **settings)
    assert second.error is None, (second.error, second.text)
    assert any("nothing to install" in line for line in second.log)
    for slow in ("STEP", "Packing the image."):
        assert (slow in first.text, slow in second.text) == (True, False)
    one, two = Pushed(first.image), Pushed(second.image)
    assert {layer["mediaType"] for layer in two.manifest["layers"][:-1]} == {f"application/vnd.oci.image.layer.v1.tar+{compression}"}
    assert one.layers[:-1] == two.layers[:-1]
    assert one.layers[-1] != two.layers[-1]
    assert two.labels["binder.environment"] == one.labels["binder.environment"]
    assert two.labels["binder.commit"] == commit
    files = two.files()
    assert "home/jovyan/old.ipynb" not in files
    assert (files["home/jovyan/new.ipynb"].uid, files["home/jovyan/run.sh"].mode & 0o111, files["home/jovyan/start"].mode & 0o111) == (
        1000,
        0o111,
        0o111,
    )
    look = "jupyterhub-singleuser; cat /made-of; ls; git -C . log 2>/dev/null; id -u; touch new.ipynb && echo writable"
    said = run(builds_namespace, second.image, "server", "sh", "-c", look).split()
    assert said == ["9.9.9", "requirements.txt", "start", "keep.txt", "new.ipynb", "requirements.txt", "run.sh", "start", "1000", "writable"]
    prefix = builder_pods.prefix.partition("/")[2]
    names = {Pushed(first.image).repository, f"{prefix}environment", f"{prefix}unchecked"}
    assert set(repositories(builder_pods.prefix)) == names, "one image of each"
    assert first.phases[-2:] == ["pushing", "made"], "nobody waits for the trial"
    assert first.log[-1] == "jupyterhub-singleuser 9.9.9"


async def test_an_environment_from_which_no_server_starts_is_found_by_no_other_build(stand_in_builds: BuilderPods, new_repository: New) -> None:
    builder_pods = stand_in_builds
    repository = new_repository({"requirements.txt": "broken\n"})
    first = await builder_pods.build(builder_pods.ask(repository.url, repository.rev("main")), base_image=small_image())
    commit = repository.commit({"notes.md": "more"})
    second = await builder_pods.build(builder_pods.ask(repository.url, commit), base_image=small_image())
    for made in (first, second):
        assert made.error
        assert made.error.code == "no_singleuser", made.text
        assert "STEP" in made.text
        assert made.phases[-1] == "made"
    assert f"{builder_pods.prefix.partition('/')[2]}environment" not in repositories(builder_pods.prefix)


async def test_a_forced_build_makes_the_environment_anew(stand_in_builds: BuilderPods, new_repository: New) -> None:
    builder_pods = stand_in_builds
    repository = new_repository({"requirements.txt": "scipy\n"})
    first = await builder_pods.build(builder_pods.ask(repository.url, repository.rev("main")), base_image=small_image())
    made = await builder_pods.build(builder_pods.ask(repository.url, repository.rev("main"), force=True), base_image=small_image())
    assert (first.error, made.error) == (None, None), made.text
    assert "STEP" in made.text
    assert Pushed(made.image).labels["binder.build"] == made.build.id


async def test_an_environment_that_needs_more_than_its_files_is_built_with_all(stand_in_builds: BuilderPods, new_repository: New) -> None:
    builder_pods = stand_in_builds
    repository = new_repository({"install.R": "scan('needed')\n", "needed": "numpy"})
    made = await builder_pods.build(builder_pods.ask(repository.url, repository.rev("main")), base_image=small_image())
    assert made.error is None, (made.error, made.text)
    assert any("building once more, with the whole repository" in line for line in made.log)
    assert len(repositories(builder_pods.prefix)) == 1, "no environment"
