"""A hub that runs as root: its service is an account without rights, and everybody's servers are processes of their own account of this machine."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from spawner.account import HomeOwner
from spawner.local.as_account import CannotBecome, as_account
from spawner.local.home_tasks import NotReady, written
from spawner.local.system_account import account_for
from tests.harness.accounts import account, open_folder, python_for_all, run_as, server_wheel
from tests.harness.git_server import GitServer
from tests.harness.hub import REPLY_SECONDS, HubProcess

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("useradd"), reason="only root makes accounts")
NOBODY = "bt-nobody-here"


@dataclass(frozen=True)
class RootHub:
    """A hub of root's, and the accounts of its service and of a person."""

    hub: HubProcess
    service: pwd.struct_passwd
    person: pwd.struct_passwd

    def launched(self, options: dict[str, Any], name: str = "") -> dict[str, Any]:
        """Start a server of the person's, and return how it was started."""
        person = self.person.pw_name
        assert self.hub.launch(person, options, name)[-1].get("ready"), self.hub.log()
        headers = {"Authorization": f"token {self.hub.token(person)}"}
        told: dict[str, Any] = httpx.get(f"{self.hub.url}/user/{person}/{name}", headers=headers, timeout=REPLY_SECONDS).raise_for_status().json()
        return told

    def refused(self, person: str, options: dict[str, Any]) -> str:
        """Return why a server does not start."""
        last = self.hub.launch(person, options)[-1]
        assert last.get("failed"), last
        return str(last["message"])


@pytest.fixture(scope="module")
def root_hub() -> Iterator[RootHub]:
    with ExitStack() as stack:
        folder = stack.enter_context(open_folder())
        service, person = (stack.enter_context(account(folder)) for _ in range(2))
        names = {service.pw_name, person.pw_name, "root", "daemon", NOBODY}
        config = f"c.Authenticator.allowed_users = c.Authenticator.allowed_users | {names!r}\nc.JupyterHub.cleanup_servers = True\n"
        own = {"EmbeddedMode": {"base_requirements": [str(server_wheel(folder))]}}
        more = {"as_root": False, "service_user": service.pw_name, "service": own}
        hub = HubProcess(folder, config=config, more=more, python=str(python_for_all(folder / "python")))
        stack.enter_context(hub)
        yield RootHub(hub, service, person)
        hub.stop_servers()


def test_a_persons_server_is_a_process_of_their_account_in_their_home(root_hub: RootHub, git_server: GitServer) -> None:
    hub, person, service = root_hub.hub, root_hub.person, root_hub.service
    repository = git_server.create("accounts/own", {"README.md": "hello", "start": '#!/bin/sh\nexport STARTED=yes\nexec "$@"\n'})
    told = root_hub.launched({"repo": repository.url})
    process, copy = psutil.Process(told["pid"]), Path(told["cwd"])
    assert set(process.uids()) == {person.pw_uid}
    assert set(process.gids()) == {person.pw_gid}
    groups = next(line for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if line.startswith("Groups:"))
    assert set(map(int, groups.split()[1:])) == set(os.getgrouplist(person.pw_name, person.pw_gid))
    environment = told["environment"]
    assert (environment["HOME"], environment["USER"], environment["NB_USER"]) == (person.pw_dir, person.pw_name, person.pw_name)
    assert environment["STARTED"] == "yes"
    assert copy.is_relative_to(Path(person.pw_dir, "binder"))
    assert {path.lstat().st_uid for path in (copy, *copy.parents[:2], *copy.rglob("*"))} == {person.pw_uid}
    image = Path(environment["VIRTUAL_ENV"])
    assert {path.lstat().st_uid for path in (image, *image.rglob("*"))} == {service.pw_uid}
    assert stat.S_IMODE(hub.state.stat().st_mode) == 0o711
    for attempt in (
        ("touch", str(image / "mine")),
        ("chmod", "u+w", str(image)),
        ("ls", str(hub.state)),
        ("ls", str(hub.state / "images" / ".made")),
    ):
        assert "denied" in (tried := run_as(person, *attempt)).stderr or "permitted" in tried.stderr, attempt
    used = hub.service("GET", "/api/images", hub.admin_token).raise_for_status().json()
    assert [f"{person.pw_name}/"] in [image["used_by"] for image in used]


def test_who_has_no_account_or_the_wrong_one_starts_nothing_and_is_told_why(root_hub: RootHub, git_server: GitServer) -> None:
    repository = git_server.create("accounts/refused", {"README.md": "hello"})
    service = root_hub.service.pw_name
    for person, words in (
        (NOBODY, f"there is none named '{NOBODY}': ask an administrator to make one"),
        ("root", "never as 'root', which is root"),
        ("daemon", "The account 'daemon' of this machine is a program's and not a person's"),
        (service, f"The account '{service}' of this machine makes what everybody's servers run from"),
    ):
        assert words in root_hub.refused(person, {"repo": repository.url})


def test_links_in_a_home_lead_nobody_to_what_the_person_may_not_write(root_hub: RootHub, git_server: GitServer) -> None:
    repository = git_server.create("accounts/links", {"README.md": "hello", "postBuild": "#!/bin/sh\necho left >$HOME/left\n"})
    home, victim = Path(root_hub.person.pw_dir), root_hub.hub.directory / "victim"
    victim.mkdir()
    victim.chmod(0o755)
    (victim / "left").write_text("root's")
    links = {"copies": home / "binder", "a server's copies": home / "binder" / "s", "a file": home / ".binder-home.json"}
    for what, link in links.items():
        shutil.rmtree(home / "binder", ignore_errors=True)
        if what == "a server's copies":
            assert run_as(root_hub.person, "mkdir", str(home / "binder")).returncode == 0
        assert run_as(root_hub.person, "ln", "-s", str(victim / "left" if what == "a file" else victim), str(link)).returncode == 0
        assert "cannot be made in" in root_hub.hub.launch(root_hub.person.pw_name, {"repo": repository.url}, "s")[-1]["message"], what
        link.unlink()
        assert {path.name: path.read_text() for path in victim.iterdir()} == {"left": "root's"}, what
    assert root_hub.launched({"repo": repository.url}, "s")["environment"]["HOME"] == str(home)
    assert (home / "left").stat().st_uid == root_hub.person.pw_uid


async def test_one_account_for_all_has_a_home_for_each_person_in_its_own(root_hub: RootHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub, everybody = root_hub.hub, account_for(root_hub.person.pw_name, "anybody", root_hub.hub.state / "images")
    monkeypatch.setattr(sys, "executable", str(hub.directory / "python" / "bin" / "python"))
    users = str(everybody.home / "shared")
    first, second = (written(HomeOwner(number, "ada", datetime(2026, 1, number, tzinfo=UTC))) for number in (1, 2))
    assert await as_account(everybody, "home_of", users, first) == [f"{users}/ada", ""]
    home, said = await as_account(everybody, "home_of", users, second)
    assert "The files of an earlier account named ada are not yours" in said
    assert {Path(folder).stat().st_uid for folder in (users, f"{users}/ada", home)} == {root_hub.person.pw_uid}
    await as_account(everybody, "give_up", users, first, "remove")
    assert not Path(users, "ada").exists()
    with pytest.raises(NotReady, match="Your home cannot be made in /proc/nowhere"):
        await as_account(everybody, "home_of", "/proc/nowhere", first)
    monkeypatch.setattr(sys, "executable", str(hub.directory / "no-python"))
    with pytest.raises(CannotBecome, match=r"cannot run .*/no-python, or not read the packages of this hub"):
        await as_account(everybody, "home_of", users, first)
