"""Accounts of a real hub are renamed, deleted and made anew: files stay with whom they belong to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.harness.git_server import Repository
from tests.harness.hub import HubProcess

EARLIER = "are not yours"


def launch(hub: HubProcess, user: str, repository: Repository) -> str:
    """Launch and stop a server; return what was said."""
    events = hub.launch(user, {"repo": repository.url})
    assert events[-1].get("ready"), events
    hub.stop_server(user)
    return " ".join(str(event.get("message", "")) for event in events)


def copies(hub: HubProcess) -> dict[str, Path]:
    """Return the copies of repositories by the name of the home that they are in."""
    return {path.parents[1].name: path for path in (hub.state / "people").glob("*/default/*") if path.is_dir()}


def test_files_follow_accounts_and_not_names(start_hub: Callable[..., HubProcess], new_repository: Callable[..., Repository]) -> None:
    hub = start_hub(config="c.Authenticator.allow_all = True\nc.ProcessSpawner.deleted_homes = 'aside'\n")
    repository = new_repository({"README.md": "hello\n"})
    hub.api("POST", "users/carol")
    assert "without walls" in launch(hub, "carol", repository)
    assert "without walls" not in launch(hub, "carol", repository)
    (copies(hub)["carol"] / "mine").write_text("mine")
    hub.api("PATCH", "users/carol", json={"name": "caroline"})
    launch(hub, "caroline", repository)
    assert set(copies(hub)) == {"carol"}

    hub.api("POST", "users/carol")
    assert EARLIER in launch(hub, "carol", repository)
    assert len(copies(hub)) == 2

    hub.api("DELETE", "users/caroline")
    assert set(copies(hub)) & {"carol"} == set()
    assert len(list((hub.state / "people" / ".deleted").iterdir())) == 1
