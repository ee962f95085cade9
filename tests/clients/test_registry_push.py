"""Pushing over HTTP, as a step of a build pod does it, to real registries: what is there afterwards, and what is not."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from io import FileIO
from pathlib import Path
from typing import Any

import httpx
import pytest

from binderhub_service.clients.contents import CONTEXT
from binderhub_service.clients.credentials import Credentials, Login
from binderhub_service.clients.oci import OCI_MANIFEST
from binderhub_service.clients.registry import RegistryClient
from binderhub_service.clients.registry_writer import RegistryWriter
from binderhub_service.errors import BinderError
from binderhub_service.images.registry import RegistryImages
from binderhub_service.names import environment_name
from binderhub_service.worker.job import Job, ProcessLimits
from binderhub_service.worker.pod_job import PodSettings, Untried
from binderhub_service.worker.recipes.pod_plan import Plan
from binderhub_service.worker.recipes.pod_push import Pushing
from binderhub_service.worker.reporter import Reporter
from tests.harness.registries import OwnRegistry

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
LOGIN = ("me", "a password")
KEY = "e" * 32


@dataclass
class PushStep:
    """The step that pushes, over a registry, and what it told."""

    work: Path
    host: str
    login: tuple[str, str] | None = None
    transport: httpx.AsyncBaseTransport | None = None
    told: list[str] = field(default_factory=list)

    @property
    def prefix(self) -> str:
        """What names begin with."""
        return f"{self.host}/project/binder-"

    @property
    def image(self) -> str:
        """The name of the build's image."""
        return f"{self.prefix}r:{'1' * 40}"

    @property
    def environment(self) -> str:
        """The name of the shared environment."""
        return environment_name(self.prefix, KEY)

    async def push(self, plan: Plan, **changes: Any) -> Untried | None:
        """Push as the plan says; return what is yet to be tried."""
        settings = PodSettings(image_prefix=self.prefix)
        job = Job("1", "u", "repo", "ref", "1" * 40, self.image, False, str(self.work), "", {}, ProcessLimits())
        credentials = Credentials([Login(self.host, *self.login)] if self.login else [])
        client = RegistryClient(credentials, transport=self.transport)
        log = self.work / "log"
        try:
            with FileIO(log, "ab") as file:
                return await Pushing(replace(job, **changes), settings, self.work / "image", client, credentials, Reporter(file)).push(plan)
        finally:
            await client.close()
            self.told = [json.loads(line)["data"].get("text", "") for line in log.read_text().splitlines()]

    def get(self, name: str, kind: str = "manifests", digest: str = "") -> httpx.Response:
        """Return what the registry says about a part of an image."""
        repository, _, tag = name.partition("/")[2].rpartition(":")
        headers = {"Accept": f"{OCI_MANIFEST}, {DOCKER_MANIFEST}"}
        return httpx.get(f"http://{self.host}/v2/{repository}/{kind}/{digest or tag}", headers=headers, auth=self.login)

    def config(self, name: str) -> Any:
        """Return the configuration of an image."""
        return self.get(name, "blobs", self.get(name).json()["config"]["digest"]).json()

    def layer(self, name: str) -> dict[str, tarfile.TarInfo]:
        """Return what is in an image's topmost layer."""
        content = self.get(name, "blobs", self.get(name).json()["layers"][-1]["digest"]).content
        assert self.config(name)["rootfs"]["diff_ids"][-1] == f"sha256:{hashlib.sha256(gzip.decompress(content)).hexdigest()}"
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(content))) as archive:
            return {entry.name: entry for entry in archive}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("binderhub_service.clients.registry._RETRY_SECONDS", (0.0, 0.0))


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRegistry]:
    """A real registry that lets everybody in."""
    with OwnRegistry(tmp_path_factory.mktemp("registry") / "r").running() as running:
        yield running


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """What the earlier steps leave: the content; images are added by `layout`."""
    content = tmp_path / "content"
    content.mkdir()
    (content / "notes.md").write_text("notes")
    (content / "link").symlink_to("/etc/passwd")
    (content / "start").write_text("exec")
    (tmp_path / "image").mkdir()
    return tmp_path


def layout(work: Path, name: str, seed: str = "", media_type: str = OCI_MANIFEST) -> Path:
    """Make an image of one layer as a directory."""
    folder = work / "image" / name
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(content: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"digest": f"sha256:{digest}", "size": len(content)}

    layer = f"{work} {name} {seed}".encode() * 1000
    config = {"architecture": "amd64", "os": "linux", "config": {"Env": ["REPO_DIR=/home/jovyan"], "Labels": {"old": "1"}}}
    config["rootfs"] = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]}
    kinds = ("application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip")
    if media_type == DOCKER_MANIFEST:
        kinds = ("application/vnd.docker.container.image.v1+json", "application/vnd.docker.image.rootfs.diff.tar.gzip")
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": {"mediaType": kinds[0], **blob(json.dumps(config).encode())},
        "layers": [{"mediaType": kinds[1], **blob(gzip.compress(layer))}],
    }
    described = {"mediaType": media_type, **blob(json.dumps(manifest).encode())}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [described]}))
    return folder


async def test_an_image_is_there_with_all_its_parts(work: Path, registry: OwnRegistry) -> None:
    folder = layout(work, "whole")
    step = PushStep(work, registry.host)
    await step.push(Plan("", "w"))
    manifest = step.get(step.image)
    assert f"sha256:{hashlib.sha256(manifest.content).hexdigest()}" == json.loads((folder / "index.json").read_text())["manifests"][0]["digest"]
    for part in (manifest.json()["config"], *manifest.json()["layers"]):
        assert step.get(step.image, "blobs", part["digest"]).content == (folder / "blobs" / part["digest"].replace(":", "/")).read_bytes()
    assert step.told == ["", f"Pushing {step.image}", "Pushed.", ""]


@pytest.mark.parametrize(("changes", "untried"), [({}, Untried()), ({"force": True}, None), ({"url": CONTEXT}, None)])
async def test_what_is_tried_after_the_push_is_told_to_be_there_at_once(
    work: Path, registry: OwnRegistry, changes: dict[str, Any], untried: Untried | None
) -> None:
    """What replaces an image was tried before; what need not start a server is not tried."""
    layout(work, "whole")
    step = PushStep(work, registry.host)
    assert await step.push(Plan("", "w"), **changes) == untried
    assert step.told == ["", f"Pushing {step.image}", "Pushed.", *([""] if untried else [])]


@pytest.mark.parametrize("media_type", [OCI_MANIFEST, DOCKER_MANIFEST])
async def test_content_is_one_layer_on_top_of_the_environment(work: Path, registry: OwnRegistry, media_type: str) -> None:
    layout(work, "environment", media_type, media_type)
    step = PushStep(work, registry.host)
    plan = Plan(KEY, "w", start="start")
    await step.push(plan, force=True)
    base, manifest = step.get(step.environment), step.get(step.image)
    assert manifest.headers["content-type"] == media_type
    assert manifest.json()["layers"][:-1] == base.json()["layers"]
    kinds = {layer["mediaType"] for layer in manifest.json()["layers"]}
    assert len(kinds) == 1
    files = step.layer(step.image)
    assert set(files) == {"home/jovyan/notes.md", "home/jovyan/link", "home/jovyan/start"}
    assert {entry.uid for entry in files.values()} == {1000}
    assert files["home/jovyan/link"].linkname == "/etc/passwd"
    assert files["home/jovyan/start"].mode & 0o111 == 0o111
    labels = step.config(step.image)["config"]["Labels"]
    assert labels["old"] == "1"
    assert (labels["binder.commit"], labels["binder.environment"], labels["binder.build"]) == ("1" * 40, KEY, "1")
    assert len(step.config(step.image)["rootfs"]["diff_ids"]) == 2


async def test_a_found_environment_is_not_pushed_again(work: Path, registry: OwnRegistry) -> None:
    layout(work, "environment", "found")
    step = PushStep(work, registry.host)
    await step.push(Plan(KEY, "w"), force=True)
    other = PushStep(work / "other", registry.host)
    (other.work / "content").mkdir(parents=True)
    await other.push(Plan(KEY, "w", found=True), image=f"{step.prefix}r:{'2' * 40}", commit="2" * 40)
    assert other.told.count("Pushed.") == 1
    assert step.get(f"{step.prefix}r:{'2' * 40}").json()["layers"][:-1] == step.get(step.environment).json()["layers"]


async def test_what_another_build_pushed_meanwhile_stays(work: Path, registry: OwnRegistry) -> None:
    layout(work, "environment", "first")
    step = PushStep(work, registry.host)
    await step.push(Plan(KEY, "w"), force=True)
    before = step.get(step.environment).content
    (work / "image" / "environment").rename(work / "image" / "old")
    layout(work, "environment", "second")
    await step.push(Plan(KEY, "w"))
    assert step.get(step.environment).content == before
    await step.push(Plan(KEY, "w"), force=True)
    assert step.get(step.environment).content != before


@pytest.mark.parametrize("tokens", [False, True])
async def test_a_new_environment_gets_its_name_when_it_was_tried_and_nobody_waits_for_that(work: Path, tokens: bool) -> None:
    layout(work, "environment", "untried")
    with OwnRegistry(work / "registry", login=LOGIN, tokens=tokens).running() as registry:
        step = PushStep(work, registry.host, LOGIN)
        client = RegistryClient(Credentials([Login(registry.host, *LOGIN)]))
        images, environment = RegistryImages(client, step.prefix), RegistryWriter(client, step.environment)
        assert await step.push(Plan(KEY, "w")) == Untried(KEY)
        assert step.told[-2:] == [f"Put the content of commit {'1' * 40} on top of the environment.", ""]
        image = await RegistryWriter(client, step.image).manifest()
        await images.name_environment(KEY, "another build")
        assert image
        assert await environment.manifest() is None
        await images.name_environment(KEY, "1")
        named = await environment.manifest()
        assert named
        assert named.layers == image.layers[:-1]
        (work / "image" / "environment").rename(work / "image" / "old")
        layout(work, "environment", "another build's")
        await step.push(Plan(KEY, "w"), build_id="2", force=True)
        replaced = await environment.manifest()
        assert replaced != named
        await images.name_environment(KEY, "1")
        assert await environment.manifest() == replaced, "what has the name keeps it"
        await images.close()


async def test_an_environment_that_is_gone_is_said(work: Path, registry: OwnRegistry) -> None:
    step = PushStep(work, registry.host)
    with pytest.raises(BinderError) as caught:
        await step.push(Plan("f" * 32, "w", found=True))
    assert caught.value.code == "environment_missing"


def _link(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to(path.with_name("moved"))


@pytest.mark.parametrize("harm", ["index.json", "blobs", "blobs/sha256", "a blob", "the folder", "a digest", "no JSON"])
async def test_nothing_is_believed_that_code_of_a_repository_may_have_written(work: Path, registry: OwnRegistry, harm: str) -> None:
    """A link could lead to a login that only this step has."""
    folder = layout(work, "whole")
    step = PushStep(work, registry.host)
    index = folder / "index.json"
    if harm == "a blob":
        _link(max((folder / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size))
    elif harm == "the folder":
        _link(folder)
    elif harm == "a digest":
        index.write_text(json.dumps({"manifests": [{"digest": "sha256:../../../../content/notes.md", "size": 1}]}))
    elif harm == "no JSON":
        index.write_text("[")
    else:
        _link(folder / harm)
    with pytest.raises(BinderError) as caught:
        await step.push(Plan("", "w"), image=f"{step.prefix}harm:{'1' * 40}")
    assert caught.value.code in {"image_unusable", "builder_lost"}
    assert step.get(f"{step.prefix}harm:{'1' * 40}").status_code == 404


@pytest.mark.parametrize("tokens", [False, True])
async def test_a_registry_that_asks_who_is_there_is_told(work: Path, tokens: bool) -> None:
    layout(work, "environment", str(tokens))
    with OwnRegistry(work / "registry", login=LOGIN, tokens=tokens).running() as registry:
        step = PushStep(work, registry.host, LOGIN)
        await step.push(Plan(KEY, "w"))
        assert step.told.count("Pushed.") == 2
        wrong = PushStep(work, registry.host, ("me", "wrong"))
        with pytest.raises(BinderError) as caught:
            await wrong.push(Plan(KEY, "w"), force=True)
        assert caught.value.code == "registry_login_failed"
        assert "wrong" not in "".join(wrong.told)


async def test_a_registry_that_takes_nothing_is_said(work: Path) -> None:
    layout(work, "whole")
    with OwnRegistry(work / "registry", denies_push=True).running() as registry:
        with pytest.raises(BinderError) as caught:
            await PushStep(work, registry.host).push(Plan("", "w"))
        assert caught.value.code == "push_denied"


async def test_a_registry_that_is_away_is_said(work: Path) -> None:
    layout(work, "whole")
    with pytest.raises(BinderError) as caught:
        await PushStep(work, "127.0.0.1:1").push(Plan("", "w"))
    assert caught.value.code == "registry_unavailable"


# --- a registry that misbehaves ----------------------------------------------------------------------------------------


class Trouble(httpx.AsyncBaseTransport):
    """Passes requests on to a real registry, unless a rule has another answer."""

    def __init__(self, rule: Callable[[httpx.Request], httpx.Response | None]) -> None:
        self._rule = rule
        self._real = httpx.AsyncHTTPTransport()
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        self.asked.append(f"{request.method} {request.url.raw_path.decode()}")
        answer = self._rule(request)
        if answer is None:
            return await self._real.handle_async_request(request)
        if isinstance(request.stream, AsyncIterator):
            await request.aread()
        return answer

    async def aclose(self) -> None:
        """Let go of connections."""
        await self._real.aclose()


def _once(matches: Callable[[httpx.Request], bool], status: int, text: str = "") -> Callable[[httpx.Request], httpx.Response | None]:
    done: list[httpx.Request] = []

    def rule(request: httpx.Request) -> httpx.Response | None:
        if done or not matches(request):
            return None
        done.append(request)
        return httpx.Response(status, text=text)

    return rule


@pytest.mark.parametrize(("method", "status"), [("PATCH", 404), ("PATCH", 416), ("PATCH", 502), ("PUT", 404), ("POST", 503)])
async def test_an_upload_that_the_registry_loses_is_begun_again(work: Path, registry: OwnRegistry, method: str, status: int) -> None:
    layout(work, "whole", f"{method} {status}")
    step = PushStep(work, registry.host, transport=Trouble(_once(lambda request: request.method == method, status)))
    await step.push(Plan("", "w"))
    assert step.get(step.image).status_code == 200


@pytest.mark.parametrize("codes", [("DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN"), ("BLOB_UNKNOWN",)])
async def test_an_image_whose_layers_another_push_is_writing_is_pushed_a_moment_later(
    work: Path, registry: OwnRegistry, monkeypatch: pytest.MonkeyPatch, codes: tuple[str, ...]
) -> None:
    monkeypatch.setattr("binderhub_service.clients.registry_writer._WAITS_SECONDS", (0.0,))
    layout(work, "whole", f"written by two, {codes}")
    refusal = json.dumps({"errors": [{"code": code} for code in codes]})
    step = PushStep(
        work, registry.host, transport=Trouble(_once(lambda request: request.method == "PUT" and "/manifests/" in request.url.path, 400, refusal))
    )
    name = f"{step.prefix}two:{len(codes)}"
    await step.push(Plan("", "w"), image=name, force=True)
    assert step.get(name).status_code == 200


@pytest.mark.parametrize(
    ("method", "status", "text", "code"),
    [
        ("PATCH", 500, "no space left on device", "registry_unavailable"),
        ("PATCH", 507, "no space left on device", "disk_full"),
        ("PUT", 400, "MANIFEST_INVALID", "push_failed"),
        ("PUT", 403, "DENIED", "push_denied"),
    ],
)
async def test_nothing_is_seen_of_an_image_that_could_not_be_pushed(
    work: Path, registry: OwnRegistry, method: str, status: int, text: str, code: str
) -> None:
    layout(work, "whole", f"{method} {status}")
    trouble = Trouble(lambda request: httpx.Response(status, text=text) if request.method == method else None)
    step = PushStep(work, registry.host, transport=trouble)
    name = f"{step.prefix}half:{method.lower()}-{status}"
    with pytest.raises(BinderError) as caught:
        await step.push(Plan("", "w"), image=name)
    assert caught.value.code == code
    assert step.get(name).status_code == 404


async def test_a_registry_that_moves_no_blobs_between_repositories_is_given_them(work: Path, registry: OwnRegistry) -> None:
    layout(work, "environment", "no mount")

    def without_mount(request: httpx.Request) -> httpx.Response | None:
        return httpx.Response(202, headers={"Location": "/nowhere"}) if "mount=" in str(request.url) else None

    trouble = Trouble(without_mount)
    step = PushStep(work, registry.host, transport=trouble)
    image = f"{step.prefix}other:{'1' * 40}"
    await step.push(Plan(KEY, "w"), image=image, force=True)
    assert step.get(image, "blobs", step.get(image).json()["layers"][0]["digest"]).status_code == 200
    assert any("mount=" in asked for asked in trouble.asked)


async def test_blobs_of_the_environment_are_not_sent_twice(work: Path, registry: OwnRegistry) -> None:
    layout(work, "environment", "mount")
    trouble = Trouble(lambda request: None)
    await PushStep(work, registry.host, transport=trouble).push(Plan(KEY, "w"), force=True)
    assert len([asked for asked in trouble.asked if asked.startswith("PATCH")]) == 4, "two of the environment, a layer and a configuration on top"


# --- layers of a base image, which `build` leaves out -------------------------------------------------------------------


async def leave_out(work: Path, step: PushStep) -> tuple[str, bytes]:
    """Push an image as somebody's base, and make another one of it whose layer is left out; return the layer's digest and content."""
    base = f"{step.prefix}base:1"
    folder = layout(work, "whole", "base")
    await step.push(Plan("", "w"), image=base)
    digest = step.get(base).json()["layers"][0]["digest"]
    blob = folder / "blobs" / digest.replace(":", "/")
    content = blob.read_bytes()
    blob.unlink()
    (folder / "origins.json").write_text(json.dumps({digest: base}))
    return digest, content


async def test_a_layer_that_was_left_out_is_taken_from_where_it_was_pulled(work: Path, registry: OwnRegistry) -> None:
    """In the same registry without moving it."""
    trouble = Trouble(lambda request: None)
    digest, content = await leave_out(work, PushStep(work, registry.host))
    same = PushStep(work, registry.host, transport=trouble)
    await same.push(Plan("", "w"), image=f"{same.prefix}same:1")
    assert len([asked for asked in trouble.asked if asked.startswith("PATCH")]) == 1, "the configuration"
    with OwnRegistry(work / "registry", login=LOGIN).running() as another:
        other = PushStep(work, another.host, LOGIN)
        await other.push(Plan("", "w"))
        assert other.get(other.image, "blobs", digest).content == content
    assert same.get(f"{same.prefix}same:1", "blobs", digest).content == content


async def test_a_layer_that_breaks_off_is_asked_for_again(work: Path, registry: OwnRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("binderhub_service.clients.registry_writer._WAITS_SECONDS", (0.0,))
    digest, content = await leave_out(work, PushStep(work, registry.host))
    whole, tries = RegistryClient.blob, []

    async def broken(client: RegistryClient, *asked: Any) -> AsyncIterator[bytes]:
        tries.append(asked)
        async for chunk in whole(client, *asked):
            yield chunk[:-1] if len(tries) == 1 else chunk

    monkeypatch.setattr(RegistryClient, "blob", broken)
    with OwnRegistry(work / "registry").running() as another:
        other = PushStep(work, another.host)
        await other.push(Plan("", "w"))
        assert other.get(other.image, "blobs", digest).content == content
    assert len(tries) == 2


async def test_a_layer_that_only_the_login_of_the_push_may_read_is_not_taken(work: Path) -> None:
    """Else a repository could name anybody's private image, and have it."""
    with OwnRegistry(work / "registry", login=LOGIN).running() as registry:
        step = PushStep(work, registry.host, LOGIN)
        digest, _ = await leave_out(work, step)
        with pytest.raises(BinderError) as caught:
            await step.push(Plan("", "w"))
        assert caught.value.code == "registry_login_failed"
        assert step.get(step.image).status_code == 404
        assert step.get(step.image, "blobs", digest).status_code == 404


@pytest.mark.parametrize("place", ["bases/0", "layers"])
async def test_a_layer_that_the_first_step_has_fetched_is_taken_from_there(work: Path, registry: OwnRegistry, place: str) -> None:
    digest, content = await leave_out(work, PushStep(work, registry.host))
    (work / "image" / "whole" / "origins.json").unlink()
    (work / place).mkdir(parents=True)
    (work / place / digest.partition(":")[2]).write_bytes(content)
    with OwnRegistry(work / "registry").running() as another:
        other = PushStep(work, another.host)
        await other.push(Plan("", "w"))
        assert other.get(other.image, "blobs", digest).content == content
