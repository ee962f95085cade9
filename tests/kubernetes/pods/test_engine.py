"""A Docker engine at an address builds instead of the pod: what it pushes, what is left in it, and what it never sees."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import aclosing

import pytest

from binderhub_service.clients.credentials import Login
from tests.harness.git_server import Repository
from tests.harness.waiting import wait_for
from tests.kubernetes.images import registry
from tests.kubernetes.pods.builder_pods import LOGIN, BuilderPods, Pushed, dockerfile, is_there
from tests.kubernetes.pods.engine import EngineForPods, builder_image_with_docker, engine_for_pods, reason_to_skip

pytestmark = [
    pytest.mark.skipif(bool(reason_to_skip()), reason=reason_to_skip()),
]
New = Callable[..., Repository]
LOGINS = (LOGIN, Login(registry(), "me", "the-password-of-the-registry"))
LOOK = (
    "COPY . /content",
    "RUN env; cat /proc/[0-9]*/environ | tr '\\0' '\\n'",
    "RUN for place in /registry /git /job /work /image /run/secrets /var/run/secrets /var/run/docker.sock; do ! test -e $place || echo FOUND; done",
    "RUN grep -rsl 'the-passwor[d]-of' / --exclude-dir=proc --exclude-dir=sys && echo FOUND || echo no login",
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineForPods]:
    """The engine; each test leaves it empty."""
    with engine_for_pods(tmp_path_factory.mktemp("engine")) as engine:
        yield engine


@pytest.fixture
def builder_pods(builds_namespace: str) -> BuilderPods:
    """Real builds by the image that speaks to an engine."""
    return BuilderPods(builds_namespace, builder_image_with_docker())


async def test_the_engine_builds_and_pushes_and_keeps_nothing(builder_pods: BuilderPods, engine: EngineForPods, new_repository: New) -> None:
    repository = new_repository({**dockerfile("COPY . /content"), "notes.md": "x"})
    build = builder_pods.ask(repository.url, repository.rev("main"))
    made = await builder_pods.build(build, engine_host=engine.address)
    assert made.error is None, (made.error, made.text)
    assert made.phases == ["fetching", "building", "pushing", "made"]
    assert "jupyterhub-singleuser 9.9.9" in made.log
    image = Pushed(made.image)
    assert (image.labels["binder.commit"], image.labels["binder.build"]) == (build.source.commit, build.id)
    assert "content/notes.md" in image.files()
    assert (engine.images(), engine.containers()) == ([], [])


async def test_no_login_reaches_what_the_engine_builds(builder_pods: BuilderPods, engine: EngineForPods, new_repository: New) -> None:
    repository = new_repository(dockerfile(*LOOK))
    made = await builder_pods.build(builder_pods.ask(repository.url, repository.rev("main")), credentials=LOGINS, engine_host=engine.address)
    assert made.error is None, (made.error, made.text)
    said = [line.partition(" ")[2].partition(" ")[2] for line in made.log]  # without the step's number and the time
    assert "no login" in said
    assert "FOUND" not in said
    for found in ("the-password-of", "KUBERNETES_SERVICE", "DOCKER_CONFIG"):
        assert found not in made.text
    assert "the-password-of" not in json.dumps(Pushed(made.image).config)


async def test_a_cancelled_build_leaves_nothing_in_the_engine(builder_pods: BuilderPods, engine: EngineForPods, new_repository: New) -> None:
    repository = new_repository({**dockerfile(), "single": "#!/bin/sh\nsleep 60\n"})
    build = builder_pods.ask(repository.url, repository.rev("main"))
    builder = builder_pods.builder(engine_host=engine.address)
    async with aclosing(builder.run(build)) as reports:
        following = asyncio.create_task(anext(reports))
        await asyncio.to_thread(wait_for, engine.containers, "the look at the image", 60, 0.5)
        following.cancel()
    await builder.stop(build)
    await asyncio.to_thread(wait_for, lambda: not engine.images() and not engine.containers(), "the end of all in the engine", 20, 0.5)
    await builder.close()
    assert is_there(build.image.name), "it was pushed before it was looked at; the service withdraws it"
