"""Reading the settings and putting everything together."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import httpx
import pytest
from traitlets import TraitError
from traitlets.config import Configurable

from binderhub_service.app import CONFIG_VARIABLE, BinderService
from binderhub_service.assembly import Assembly
from binderhub_service.common.private import cookie_secret, keep_secret
from binderhub_service.errors import Unavailable
from binderhub_service.models import Request
from binderhub_service.modes import MODES, mode_class
from binderhub_service.monitoring.metrics import Metrics
from binderhub_service.process.tasks import Tasks
from binderhub_service.providers import provider_for
from binderhub_service.settings import Cleaning, Limits, Server
from tests.harness.git_server import GitServer, Repository
from tests.harness.ports import free_ports
from tests.harness.waiting import HANGS_SECONDS, wait_for

CLASSES = [BinderService, Limits, Cleaning, Server]


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    BinderService.clear_instance()
    yield
    BinderService.clear_instance()


def service(*arguments: str) -> BinderService:
    app = BinderService()
    app.initialize(list(arguments))
    return app


def give(monkeypatch: pytest.MonkeyPatch, **settings: object) -> None:
    """Give settings the way the hub's configuration does."""
    monkeypatch.setenv(CONFIG_VARIABLE, json.dumps({"BinderService": settings}))


def file_with(tmp_path: Path, text: str, name: str = "settings.py") -> str:
    (tmp_path / name).write_text(text)
    return str(tmp_path / name)


# Where settings come from


def test_nothing_needs_to_be_set() -> None:
    app = service()
    assert (app.mode, app.state_dir, app.database_url, app.git_timeout_seconds) == ("embedded", ".state", "", 30)


@pytest.mark.parametrize(
    ("mode", "settings", "days"),
    [
        ("embedded", {}, 90),
        ("docker", {}, 90),
        ("docker", {"registry": "registry.example.org"}, 0),
        ("kubernetes", {"registry": "registry.example.org"}, 0),
    ],
)
def test_images_of_this_machine_are_kept_for_ninety_days_and_those_of_a_registry_for_ever_unless_the_operator_says_so(
    mode: str, settings: dict[str, str], days: int
) -> None:
    kept_seconds = mode_class(mode)(**settings).image_seconds()
    assert Cleaning().budget(kept_seconds).image_seconds == days * 24 * 3600
    assert Cleaning(image_seconds=0).budget(kept_seconds).image_seconds == 0
    assert Cleaning(image_seconds=5).budget(kept_seconds).image_seconds == 5


def test_a_file_of_either_kind_is_read(tmp_path: Path) -> None:
    assert service("--config", file_with(tmp_path, "c.BinderService.state_dir = '/file'")).state_dir == "/file"
    assert service("--config", file_with(tmp_path, '{"BinderService": {"state_dir": "/json"}}', "settings.json")).state_dir == "/json"


def test_the_hubs_settings_win_over_the_file_and_the_command_line_over_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file_with(
        tmp_path, "c.BinderService.state_dir = '/file'\nc.BinderService.git_timeout_seconds = 1\nc.BinderService.database_url = 'sqlite:///file'\n"
    )
    give(monkeypatch, state_dir="/hub", git_timeout_seconds=2)
    app = service("--config", path, "--state-dir", "/line")
    assert (app.state_dir, app.git_timeout_seconds, app.database_url) == ("/line", 2, "sqlite:///file")


def test_a_file_is_read_that_the_hubs_settings_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file_with(tmp_path, "c.BinderService.state_dir = '/file'\nc.BinderService.database_url = 'sqlite:///file'\n")
    give(monkeypatch, config_file=path, state_dir="/hub")
    app = service()
    assert (app.state_dir, app.database_url) == ("/hub", "sqlite:///file")


def test_settings_of_other_classes_reach_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, json.dumps({"Limits": {"running": 7}}))
    app = service("--Limits.per_user=3")
    limits = Limits(parent=app)
    assert (limits.running, limits.per_user) == (7, 3)


@pytest.mark.parametrize("argument", ["--BinderService.mode=kubern", "--BinderService.git_timeout_seconds=0"])
def test_a_setting_that_cannot_be_is_refused(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises((SystemExit, TraitError)):
        service(argument)


def test_a_mode_that_is_not_there_is_refused_with_those_that_are(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TraitError, match="embedded"):
        BinderService(mode="no such mode")


# What they say about themselves


@pytest.mark.parametrize("configurable", CLASSES)
def test_every_setting_says_what_it_is_and_its_default(configurable: type[Configurable]) -> None:
    own = configurable.class_own_traits(config=True)
    assert own
    for name, trait in own.items():
        assert "Default:" in trait.help, f"{configurable.__name__}.{name}"
        assert trait.help.strip()[0].isupper(), name


def test_the_help_shows_every_setting_of_every_class() -> None:
    done = subprocess.run([sys.executable, "-m", "binderhub_service", "--help-all"], capture_output=True, text=True, timeout=60, check=True)
    for configurable in CLASSES:
        for name in configurable.class_own_traits(config=True):
            assert f"--{configurable.__name__}.{name}" in done.stdout


# What is kept


def test_the_cookie_secret_is_made_once_and_is_nobody_elses(tmp_path: Path) -> None:
    first = cookie_secret(tmp_path)
    assert len(first) == 32
    assert cookie_secret(tmp_path) == first
    assert stat.S_IMODE((tmp_path / "cookie_secret").stat().st_mode) == 0o600
    assert cookie_secret(tmp_path_of_another(tmp_path)) != first


def test_a_text_that_is_kept_is_nobody_elses_and_goes_when_it_is_not_set_any_more(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("of before, for all to read")
    path.chmod(0o644)
    assert keep_secret(path, "mine") == path
    assert path.read_text() == "mine\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keep_secret(path, "one\ntwo\n") == path
    assert path.read_text() == "one\ntwo\n"
    assert keep_secret(path, "") is None
    assert not path.exists()


async def test_refs_of_private_repositories_are_resolved_with_the_logins_of_the_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, git_server: GitServer, new_repository: Callable[..., Repository]
) -> None:
    private = new_repository({"a": "b"}, login=("robot", "s3cret"))
    login = git_server.url.replace("://", "://robot:s3cret@")
    mode = {"builder_image": "builder:1", "registry": "registry.example.org", "git_credentials": login}
    monkeypatch.setenv(CONFIG_VARIABLE, json.dumps({"KubernetesMode": mode}))
    hub = Mock(base_url="/services/binder/", hub_host="", hub_prefix="/hub/", api_url="http://127.0.0.1:9/hub/api")
    app = service("--state-dir", str(tmp_path), "--BinderService.mode=kubernetes")
    metrics = Metrics("kubernetes")
    assembly = Assembly(app)
    context = assembly.make_context(await assembly.make_store(metrics), hub, metrics, Tasks())
    request = Request(private.url, "main")
    assert (await provider_for(request, context.providers).resolve(request)).commit == private.rev("main")
    assert stat.S_IMODE((tmp_path / "git-credentials").stat().st_mode) == 0o600
    await context.builds.close()


def tmp_path_of_another(tmp_path: Path) -> Path:
    other = tmp_path / "other"
    other.mkdir()
    return other


async def test_the_store_is_a_file_in_the_state_directory_unless_told_otherwise(tmp_path: Path) -> None:
    for url, path in (("", tmp_path / "service.sqlite"), (f"sqlite:///{tmp_path / 'mine'}", tmp_path / "mine")):
        app = service("--state-dir", str(tmp_path), f"--BinderService.database_url={url}")
        store = await Assembly(app).make_store(Metrics("embedded"))
        await store.open()
        await store.close()
        assert path.exists()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgres://u:s3cret@h/x", r"a kind of database that SQLAlchemy does not know \(postgres\)"),
        ("mysql+nodriver://u:s3cret@h/x", "does not know"),
        ("mssql+pymssql://u:s3cret@h/x", "needs the package pymssql, which is not installed"),
        ("postgresql+psycopg2://u:s3cret@h/x", "needs the package psycopg2, which is not installed"),
        ("u:s3cret@h", "cannot be read"),
        ("postgresql+psycopg://u:s3cret@h:port/x", "cannot be read"),
    ],
)
async def test_an_address_of_no_database_is_told_and_no_password(url: str, why: str) -> None:
    with pytest.raises(Unavailable, match=why) as caught:
        await Assembly(service(f"--BinderService.database_url={url}")).make_store(Metrics("embedded"))
    assert "s3cret" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_hub_s_own_github_takes_the_place_of_github() -> None:
    providers = Assembly(service("--GitHubProvider.url=https://github.example.org/")).make_providers()
    assert [provider.name for provider in providers[:2]] == ["gh", "gist"]
    assert providers[0].understands("https://github.example.org/o/r")
    assert not providers[0].understands("https://github.com/o/r")


def test_an_operator_chooses_providers_and_their_order() -> None:
    app = service("--BinderService.providers=git", "--BinderService.providers=binderhub_service.providers.gitlab.GitLabProvider")
    assert [provider.name for provider in Assembly(app).make_providers()] == ["git", "gl"]


@pytest.mark.parametrize("name", ["nobody", "os.path.join", "no.such.module.Class", "binderhub_service.providers.git.Nothing"])
def test_a_provider_that_is_not_there_is_refused_by_name(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        service(f"--BinderService.providers={name}")
    assert name in capsys.readouterr().err


def test_the_rules_of_all_providers_and_of_one_are_settings() -> None:
    app = service("--Provider.banned_specs=evil/", "--GitHubProvider.allowed_specs=good/")
    by_name = {provider.name: provider for provider in Assembly(app).make_providers()}
    assert (by_name["gl"].rules.permits("evil/r"), by_name["gl"].rules.permits("any/r")) == (False, True)
    assert (by_name["gh"].rules.permits("good/r"), by_name["gh"].rules.permits("any/r")) == (True, False)


def test_a_rule_that_is_no_pattern_is_refused() -> None:
    with pytest.raises(TraitError, match="banned_specs"):
        Assembly(service("--GitHubProvider.banned_specs=(")).make_providers()


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_has_its_class(mode: str) -> None:
    assert mode_class(mode).__name__.lower().startswith(mode)


class NoKubernetes:
    """An installation without the packages of Kubernetes mode."""

    def find_spec(self, name: str, *_: object) -> None:
        if name.partition(".")[0] == "kubernetes_asyncio":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@pytest.fixture
def without_kubernetes(monkeypatch: pytest.MonkeyPatch) -> None:
    of_the_mode = [
        name for name in sys.modules if name.startswith(("kubernetes_asyncio", "binderhub_service.modes.k", "binderhub_service.builders.k"))
    ]
    for name in of_the_mode:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [NoKubernetes(), *sys.meta_path])


@pytest.mark.usefixtures("without_kubernetes")
def test_the_help_and_the_command_line_work_without_the_packages_of_other_modes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        service("--help-all")
    assert not ended.value.code
    assert "EmbeddedMode.base_requirements" in capsys.readouterr().out
    assert service("--EmbeddedMode.python=3.12").config.EmbeddedMode.python == "3.12"


@pytest.mark.usefixtures("without_kubernetes")
def test_a_mode_whose_packages_are_missing_says_how_to_install_them() -> None:
    with pytest.raises(Unavailable, match=r"needs the package kubernetes_asyncio.*; install it with: pip install 'binderspawner\[kubernetes\]'"):
        mode_class("kubernetes")


# The whole process

Running = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


@pytest.fixture
def running(tmp_path: Path, port: int) -> Iterator[Running]:
    """Starts the service as a hub does that is away now, with these settings."""
    started: list[subprocess.Popen[bytes]] = []

    def run(settings: dict[str, Any], **variables: str) -> subprocess.Popen[bytes]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTERHUB_")} | {
            "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{port}",
            "JUPYTERHUB_SERVICE_PREFIX": "/services/binder/",
            "JUPYTERHUB_SERVICE_NAME": "binder",
            "JUPYTERHUB_CLIENT_ID": "service-binder",
            "JUPYTERHUB_API_TOKEN": "t",
            "JUPYTERHUB_API_URL": "http://127.0.0.1:9/hub/api",
            CONFIG_VARIABLE: json.dumps(settings),
            **variables,
        }
        with (tmp_path / "log").open("w") as log:
            started.append(subprocess.Popen([sys.executable, "-m", "binderhub_service"], cwd=tmp_path, env=environment, stdout=log, stderr=log))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()


def answer_of(process: subprocess.Popen[bytes], port: int, log: Path) -> httpx.Response | None:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/services/binder/health", timeout=60)
    except httpx.TransportError:
        assert process.poll() is None, log.read_text()
        return None


def test_the_service_serves_until_it_is_told_to_stop(running: Running, tmp_path: Path, port: int) -> None:
    """With a hub that is away: it says so in its health, and stops in good order."""
    process = running({"BinderService": {"state_dir": str(tmp_path / "state")}})

    def health() -> httpx.Response | None:
        reply = answer_of(process, port, tmp_path / "log")
        return reply if reply is not None and "checks" in reply.json() else None  # else it is starting

    answer = wait_for(health, "an answer", 30)
    assert answer.status_code == 503
    assert {check["service"]: check["ok"] for check in answer.json()["checks"]} == {
        "JupyterHub API": False,
        "store": True,
        "disk": True,
        "builder": True,
        "tasks": True,
        "accounts": True,
    }
    assert httpx.get(f"http://127.0.0.1:{port}/services/binder/versions").json()["builder_info"] == {"mode": "embedded"}
    assert (tmp_path / "state" / "service.sqlite").exists()
    process.terminate()
    assert process.wait(HANGS_SECONDS) == 0, (tmp_path / "log").read_text()
    assert "Traceback" not in (tmp_path / "log").read_text()


SLOW_FILE = """
import time
from pathlib import Path

Path("began").touch()
while not Path("go on").exists():
    time.sleep(0.05)
"""


def test_the_hub_hears_that_the_service_is_there_while_that_still_reads_its_settings(running: Running, tmp_path: Path, port: int) -> None:
    """What takes long may be imports on a busy machine as well; a hub ends when a service of its own does not answer for ten seconds."""
    (tmp_path / "slow.py").write_text(SLOW_FILE)
    process = running({"BinderService": {"config_file": "slow.py", "state_dir": str(tmp_path / "state")}})
    wait_for((tmp_path / "began").exists, "the file of settings", 30)
    assert httpx.get(f"http://127.0.0.1:{port}/services/binder/").status_code == 200
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/services/binder/") as kept:
        assert kept.get("health").json()["error"]["code"] == "service_starting"
        (tmp_path / "go on").touch()
        wait_for(lambda: "checks" in answer_of(process, port, tmp_path / "log").text, "the service", 30)  # type: ignore[union-attr]
        assert "checks" in kept.get("health").json()  # on the connection from before


def test_a_hub_that_stops_while_the_service_still_reads_its_settings_sees_no_traceback(running: Running, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW_FILE)
    process = running({"BinderService": {"config_file": "slow.py", "state_dir": str(tmp_path / "state")}})
    wait_for((tmp_path / "began").exists, "the file of settings", 30)
    process.send_signal(signal.SIGINT)
    (tmp_path / "go on").touch()
    assert process.wait(HANGS_SECONDS) == 0
    assert (tmp_path / "log").read_text() == ""


def test_a_service_whose_packages_are_not_whole_says_so_and_leaves_its_hub_alone(running: Running, tmp_path: Path, port: int) -> None:
    (tmp_path / "sqlalchemy.py").write_text("raise ImportError('it was removed')\n")
    process = running({"BinderService": {"state_dir": str(tmp_path / "state")}}, PYTHONPATH=str(tmp_path))

    def refusal() -> str:
        reply = answer_of(process, port, tmp_path / "log")
        return reply.text if reply is not None and "whole" in reply.text else ""

    sentence = "The service cannot start, because its installation is not whole: it was removed. Install it again."
    assert sentence in wait_for(refusal, "the reason", 30)
    assert httpx.get(f"http://127.0.0.1:{port}/services/binder/").status_code == 200
    assert (tmp_path / "log").read_text() == f"{sentence}\n"


WRONG_SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "a name": ({"Limits": {"runing": 2}}, "Limits has no setting runing. Did you mean running?"),
    "a class": ({"EmbededMode": {"python": "3.12"}}, "There is no class EmbededMode with settings here. Did you mean EmbeddedMode?"),
    "a type": ({"Limits": {"running": "sekret"}}, "The 'running' trait of a Limits instance expected an int."),
    "a type of the service's own": ({"BinderService": {"mode": "magic"}}, "The 'mode' trait of a BinderService instance expected any of"),
    "a broken file": ({"BinderService": {"config_file": "broken.py"}}, "unterminated string literal (detected at line 1) (line 1 of "),
    "no file": ({"BinderService": {"config_file": "nowhere.py"}}, "The configuration file nowhere.py does not exist."),
}


def test_a_state_directory_that_cannot_be_used_is_told_by_a_service_that_stays_and_goes_on(running: Running, tmp_path: Path, port: int) -> None:
    (tmp_path / "state").write_text("no directory")
    process = running({"BinderService": {"state_dir": str(tmp_path / "state")}})

    def answer() -> str:
        reply = answer_of(process, port, tmp_path / "log")
        return reply.text if reply is not None else ""

    wait_for(lambda: f"The service cannot use {tmp_path}/state: Not a directory." in answer(), "the reason", 30)
    (tmp_path / "state").unlink()
    wait_for(lambda: "checks" in answer(), "the service", 30)
    assert "Traceback" not in (tmp_path / "log").read_text()


@pytest.mark.parametrize("case", WRONG_SETTINGS)
def test_wrong_settings_are_told_by_a_service_that_stays(running: Running, tmp_path: Path, port: int, case: str) -> None:
    settings, sentence = WRONG_SETTINGS[case]
    (tmp_path / "broken.py").write_text("c.BinderService.mode = 'docker\n")
    process = running({**settings, "BinderService": {"state_dir": str(tmp_path / "state"), **settings.get("BinderService", {})}})

    def refusal() -> str:
        reply = answer_of(process, port, tmp_path / "log")
        return str(reply.json()["error"]["message"]) if reply is not None and "settings" in reply.text else ""

    said = wait_for(refusal, "the reason", 30)
    assert said.startswith("The settings of this service are wrong. ")
    assert sentence in said
    assert "sekret" not in said
    log = (tmp_path / "log").read_text()
    assert log.count(sentence) == 1, log
    assert "Traceback" not in log
    assert not list(tmp_path.rglob("*.sqlite"))
