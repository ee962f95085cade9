"""Repositories with a Dockerfile, built by the real builder image in real pods: what is pushed, and what goes wrong."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from binderhub_service.clients.credentials import Login, logins_text
from binderhub_service.models import Image
from binderhub_service.worker.job import ProcessLimits
from tests.harness.git_server import Repository
from tests.harness.registries import OwnRegistry
from tests.kubernetes.images import copy_image, debian, registry, small_image
from tests.kubernetes.pods.builder_pods import BuilderPods, Pushed, dockerfile, is_there, repositories

New = Callable[..., Repository]
LOOK = (
    "RUN env; for place in /registry /git /bases /job /work /image /run/secrets /var/run/secrets; do ! test -e $place || echo FOUND $place; done",
    # How root leaves a chroot that it may nest.
    "RUN perl -e 'mkdir q(/x); chroot q(/x) or print qq(chroot: $!\\n); chdir q(..) for 1..99; chroot q(.); print qq(OUTSIDE\\n) if -e q(/job)'",
    "RUN for place in /proc/[0-9]*/root/job; do ! test -e $place || echo FOUND $place; done",
    "RUN cat /proc/[0-9]*/environ | tr '\\0' '\\n'; mount -t tmpfs none /mnt || unshare -Ur true || mknod /x b 254 0 || echo powerless",
)
# The code of an error, what the Dockerfile says, and the error's sentence.
FAILING = {
    "dockerfile_step_failed": ("FROM BASE\nRUN echo one && exit 7\n", "The instruction RUN echo one && exit 7 failed with exit status 7."),
    "dockerfile_invalid": ("FROM BASE\nPLEASE install jupyter\n", 'The Dockerfile cannot be understood: Unknown instruction: "PLEASE".'),
    "base_image_pull_failed": ("FROM REGISTRY/nobody/nothing:1\n", "The base image REGISTRY/nobody/nothing:1 could not be pulled."),
    "no_singleuser": ("FROM BASE\n", "The image cannot be used by a hub: jupyterhub-singleuser is not there."),
}


@pytest.mark.parametrize("storage", ["vfs", "overlay"])
async def test_an_image_is_pushed_with_what_was_built_into_it(builder_pods: BuilderPods, new_repository: New, storage: str) -> None:
    more = ("COPY . /content", 'SHELL ["/bin/bash", "-c"]', "RUN [[ a == a ]] && rm /etc/motd && echo by bash")
    repository = new_repository({**dockerfile(*more), "notes.md": "x"})
    build = builder_pods.ask(repository.url, repository.rev("main"))
    made = await builder_pods.build(build, limits=ProcessLimits(log_bytes=1_000_000), storage_driver=storage)
    assert f"Layers are kept by {storage}." in made.log
    assert made.error is None, (made.error, made.text)
    assert made.phases == ["fetching", "building", "pushing", "made"]
    assert "by bash" in made.log
    assert "jupyterhub-singleuser 9.9.9" in made.log
    image = Pushed(made.image)
    assert image.labels["binder.commit"] == build.source.commit
    assert image.labels["binder.build"] == build.id
    assert image.layers[0] == Pushed(small_image()).layers[0], "packed once, as the base image came"
    layers = [image.files(number) for number in range(1, len(image.layers))]
    assert any("usr/local/bin/jupyterhub-singleuser" in files for files in layers)
    assert any("content/notes.md" in files for files in layers)
    assert any("etc/.wh.motd" in files for files in layers)


async def test_everything_that_goes_wrong_has_its_code_and_nothing_unfinished_is_pushed(builder_pods: BuilderPods, new_repository: New) -> None:
    builds = {}
    for code, (text, _) in FAILING.items():
        repository = new_repository({"Dockerfile": text.replace("REGISTRY", registry()).replace("BASE", small_image())}, name=code)
        builds[code] = builder_pods.ask(repository.url, repository.rev("main"))
    made = dict(zip(builds, await asyncio.gather(*(builder_pods.build(build) for build in builds.values())), strict=True))
    for code, (_, message) in FAILING.items():
        error = made[code].error
        assert error, made[code].text
        assert (error.code, error.message) == (code, message.replace("REGISTRY", registry())), made[code].text
        assert error.hint
    pushed = builds["no_singleuser"].image.name.partition("/")[2].partition(":")[0]
    assert repositories(builder_pods.prefix) == [pushed], "it is tried when it is there, and taken away by who follows the build"
    assert made["no_singleuser"].phases[-1] == "made"


async def test_code_of_a_repository_finds_no_credential_and_no_way_out(builder_pods: BuilderPods, new_repository: New) -> None:
    """The build step has none; what reads the logins of Git and registries runs nothing that a repository says."""
    repository = new_repository(dockerfile(*LOOK, base=debian()))
    made = await builder_pods.build(builder_pods.ask(repository.url, repository.rev("main")))
    assert made.error is None, (made.error, made.text)
    assert "chroot: Operation not permitted" in made.text
    assert "powerless" in made.text
    said = [line for line in made.log if not line.startswith("STEP ")]  # those repeat what the Dockerfile says
    assert "PATH=" in "\n".join(said)
    for found in ("FOUND", "OUTSIDE", "the-password-of", "serviceaccount", "KUBERNETES_SERVICE"):
        assert not [line for line in said if found in line]


async def test_words_from_outside_are_only_words(builder_pods: BuilderPods, new_repository: New) -> None:
    repository = new_repository({**dockerfile("COPY . /content"), "--privileged": "x", "$(touch x)": "x", "{foo}": "x"})
    build = builder_pods.ask(repository.url, repository.rev("main"))
    hostile = '--push x"\nRUN touch /harm $HOME'
    made = await builder_pods.build(replace(build, source=replace(build.source, repo=hostile, ref="--config=$(id)")))
    assert made.error is None, (made.error, made.text)
    image = Pushed(made.image)
    assert image.labels["binder.repository"] == "--push x__RUN touch /harm _HOME"
    assert {"content/--privileged", "content/$(touch x)", "content/{foo}"} <= {name for at in range(1, len(image.layers)) for name in image.files(at)}


async def test_a_private_repository_is_fetched_by_the_login_for_its_server(builder_pods: BuilderPods, new_repository: New) -> None:
    repository = new_repository(dockerfile(), login=("me", "the-password-of-git"))
    build = builder_pods.ask(repository.url, repository.rev("main"))
    host = repository.url.partition("://")[2].partition("/")[0]
    made = await builder_pods.build(build, cluster={"git_credentials": f"http://me:the-password-of-git@{host}\n"})
    assert made.error is None, (made.error, made.text)
    assert is_there(made.image)
    assert "the-password-of-git" not in made.text


async def test_a_private_base_image_is_fetched_by_its_login_which_no_other_step_has(
    builder_pods: BuilderPods, new_repository: New, tmp_path: Path
) -> None:
    """The login of the registry that images are pushed to opens nothing, even where it could."""
    login = Login("", "reader", "the-password-of-a-base")
    with OwnRegistry(tmp_path / "registry", login=(login.username, login.password), address=os.environ["KUBE_TEST_HOST"]).running() as private:
        login = replace(login, registry=private.host)
        base = f"{private.host}/private/debian:12"
        copy_image(debian(), base, f"{login.username}:{login.password}")
        files = dockerfile(*LOOK, base=debian())
        repository = new_repository({**files, "Dockerfile": files["Dockerfile"].replace(debian(), base)})
        ask, plain = builder_pods.ask(repository.url, repository.rev("main")), {"plain_http_registries": (registry(), private.host)}
        refused = await builder_pods.build(replace(ask, id=f"{ask.id}x"), credentials=[login], **plain)
        made = await builder_pods.build(ask, cluster={"base_logins": logins_text([login])}, **plain)
    assert refused.error
    assert refused.error.code == "base_image_pull_failed"
    assert made.error is None, (made.error, made.text)
    assert is_there(made.image)
    assert "the-password-of" not in made.text


async def test_builds_with_a_cache_volume_take_layers_of_earlier_ones(builder_pods: BuilderPods, new_repository: New, tmp_path: Path) -> None:
    settings = {"cluster": {"cache_volume": {"hostPath": {"path": str(tmp_path)}}}}
    repository = new_repository({**dockerfile("RUN date +%N > /moment", "COPY notes.md /"), "notes.md": "x"})
    first = await builder_pods.build(builder_pods.ask(repository.url, repository.rev("main")), **settings)
    assert first.error is None, (first.error, first.text)
    asks = [builder_pods.ask(repository.url, repository.commit({"notes.md": text})) for text in "yz"]
    others = await asyncio.gather(*(builder_pods.build(ask, **settings) for ask in asks))
    for made in others:
        assert made.error is None, (made.error, made.text)
        assert Pushed(made.image).layers[:-1] == Pushed(first.image).layers[:-1], made.text
    assert len({Pushed(made.image).layers[-1] for made in (first, *others)}) == 3


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
async def test_a_changed_commit_takes_layers_of_the_last_build_of_its_branch_and_nobody_elses(
    builder_pods: BuilderPods, new_repository: New, compression: str
) -> None:
    """Base images come by way of a mirror meanwhile: their own registry is nowhere."""
    settings = {"layer_cache": True, "layer_compression": compression, "registry_mirrors": {"hub.invalid": [registry()]}}
    files = {**dockerfile("RUN date +%N > /moment", "COPY notes.md /"), "notes.md": "x"}
    files["Dockerfile"] = files["Dockerfile"].replace(registry(), "hub.invalid")
    repository, strangers = new_repository(files), new_repository(files, name="strangers")
    first = await builder_pods.build(builder_pods.ask(repository.url, repository.rev("main")), **settings)
    assert first.error is None, (first.error, first.text)
    changed = builder_pods.ask(repository.url, repository.commit({"notes.md": "y"}))
    by_hash = replace(changed, id=f"{changed.id}x", source=replace(changed.source, ref=changed.source.commit), image=Image(f"{changed.image.name}-x"))
    asks = (changed, builder_pods.ask(strangers.url, strangers.rev("main")), by_hash)
    second, strange, hashed = await asyncio.gather(*(builder_pods.build(ask, **settings) for ask in asks))
    for made in (second, strange, hashed):
        assert made.error is None, (made.error, made.text)
    *layers, last = Pushed(first.image).layers
    assert (layers[0] == Pushed(small_image()).layers[0]) == (compression == "gzip"), "packed anew only where it is to be packed in another way"
    assert Pushed(second.image).layers[:-1] == layers, second.text
    assert Pushed(second.image).layers[-1] != last
    assert Pushed(second.image).labels["binder.commit"] == second.build.source.commit
    for made in (strange, hashed):
        assert set(Pushed(made.image).layers) & {*layers, last} == {layers[0]}, "the base"
    assert len([name for name in repositories(builder_pods.prefix) if name.endswith("-layers")]) == 1
