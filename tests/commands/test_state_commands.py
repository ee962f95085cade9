"""Commands on the service's machine: they ask the service that runs, and do without one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from binderhub_service.app import BinderService
from binderhub_service.commands import state_commands
from binderhub_service.commands.program import run
from binderhub_service.handlers.application import make_private_application
from binderhub_service.process.api_port import COMMANDS_SOCKET, socket_of
from binderhub_service.process.receiving import ServerLimits
from binderhub_service.process.server import BoundedServer
from tests.handlers.test_api import SECRET, Service, error_of, hub_auth, service
from tests.harness.waiting import until

__all__ = ["hub_auth", "service"]  # fixtures


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    return folder


def command(state: Path, *words: str) -> int:
    """Run a command with a state, and return its exit status."""
    return state_commands.run(words[0], words[1:], lambda _: BinderService(state_dir=str(state)))


@asynccontextmanager
async def at_socket(service: Service, state: Path) -> AsyncIterator[None]:
    server = BoundedServer("/", ServerLimits(), is_behind_proxy=False)
    server.application = make_private_application(service.context, SECRET)
    listening = server.listen_at(socket_of(state, COMMANDS_SOCKET))
    yield
    listening.stop()
    await listening.close_all_connections()


async def test_a_command_asks_the_service_that_runs(service: Service, state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = await service.finished()
    async with at_socket(service, state):

        async def said(*words: str) -> tuple[int, str, str]:
            status = await asyncio.to_thread(command, state, *words)
            return status, *capsys.readouterr()

        status, out, _ = await said("builds", "list", "--json")
        assert (status, [one["id"] for one in json.loads(out)]) == (0, [build["id"]])
        assert (await said("builds", "list", "failed"))[1] == ""
        assert (await said("builds", "cancel", build["id"]))[::2] == (1, "The build has ended; it is ready.\n")
        status, out, _ = await said("images", "list")
        assert (status, out.split("\t")[0]) == (0, build["image"])
        service.images.used_by[build["image"]] = ("alice/",)
        assert (await said("images", "remove", build["image"]))[2].startswith(f"A server runs from the image {build['image']}.")
        service.images.used_by.clear()
        assert (await said("images", "remove", build["image"]))[:2] == (0, f"The image {build['image']} is removed.\n")
        assert (await said("drain", "At noon."))[1] == "The service is drained: it can be stopped.\n"
        assert [(one.kind, one.text, one.set_by) for one in service.context.controls.all()] == [("drain", "At noon.", "service:command-line")]
        assert (await said("resume"))[0] == 0
        service.builder.gate = asyncio.Event()
        running = await service.build(ref="r2")
        await until(lambda: service.context.builds.counts()["running"], "the build")
        not_yet = "The build has not ended; it is running. Cancel it, or wait for its end.\n"
        assert (await said("builds", "remove", running["id"]))[::2] == (1, not_yet)
        assert (await said("builds", "cancel", running["id"]))[1] == f"The build {running['id']} is cancelled.\n"
        assert (await said("builds", "remove", running["id"]))[:2] == (0, f"The record of the build {running['id']} is removed.\n")
        assert [one["id"] for one in json.loads((await said("builds", "list", "--json"))[1])] == [build["id"]]


async def test_the_newest_record_of_an_image_is_removed_once_the_image_is_gone_and_by_administrators_alone(service: Service) -> None:
    build = await service.finished()
    record = f"/builds/{build['id']}/record"
    error_of(await service.ask("DELETE", record), 403)
    error_of(await service.ask("DELETE", record, "root-admin"), 409, "build_needed")
    service.images.there.clear()  # by somebody else's hands, so that the service does not know
    assert (await service.ask("DELETE", record, "root-admin")).status_code == 204
    error_of(await service.ask("DELETE", record, "root-admin"), 404, "build_not_found")
    again = await service.finished()
    assert again["id"] != build["id"]


def test_a_command_does_without_a_service(state: Path, hub_auth: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(state, "images", "list", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []
    assert command(state, "drain", "At noon.") == 0
    assert capsys.readouterr().out == "The service does not run; when it does, no build begins until it is resumed.\n"
    assert command(state, "resume") == 0
    assert command(state, "resume") == 1
    assert command(state, "builds", "cancel", "x") == 1
    assert capsys.readouterr().err.splitlines() == [
        "Nothing is set as drain. GET controls lists all.",
        "The service does not run, and only it can cancel a build. Start it first.",
    ]
    assert not socket_of(state, COMMANDS_SOCKET).exists()


@pytest.mark.parametrize("words", [("images", "remove"), ("copies", "remove"), ("builds", "cancel"), ("builds", "remove"), ("backup",), ("move",)])
def test_an_empty_argument_is_told_and_nothing_is_done(state: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run([*words, "", f"--BinderService.state_dir={state}"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith(": it is empty\n")
    assert list(state.iterdir()) == []


def test_a_command_that_there_is_not_is_told_and_serves_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(["bacup", "/var/backups/binder"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("There is no command 'bacup'; the commands are: check, serve, backup, ")


def test_a_file_of_settings_that_cannot_be_read_is_one_sentence_at_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "settings.py"
    file.write_text("c.BinderService.mode = (\n")
    with pytest.raises(SystemExit) as ended:
        BinderService().initialize([f"--config={file}"])
    assert str(ended.value) == f"The settings cannot be read: '(' was never closed (line 1 of {file})."
