"""Prepared environments: the list over the API, how they are kept current, and what people get of them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from traitlets import TraitError

from binderhub_service.builds.cleaner import Budget, dispensable
from binderhub_service.builds.prepared import PreparedEnvironments
from binderhub_service.builds.refreshes import Refreshes
from binderhub_service.errors import BuildFailed, Conflict, Unavailable
from binderhub_service.handlers.application import streamed_bytes
from binderhub_service.images import StoredImage
from binderhub_service.models import PreparedEnvironment, now
from binderhub_service.settings import Prepared
from binderhub_service.store.prepared import PreparedTable
from binderhub_service.store.store import Store
from tests.handlers.test_api import PREFIX, REPO, Service, error_of, gate, hub_auth, service
from tests.harness.empty_database import write_empty_database
from tests.harness.records import commit
from tests.harness.waiting import until

__all__ = ["gate", "hub_auth", "service"]  # fixtures
ADMIN = "root-admin"
COURSE = {"repo": "course", "provider": "prepared"}


async def put(service: Service, name: str = "course", **more: str) -> Any:
    return await service.ask("PUT", f"/prepared/{name}", ADMIN, content=json.dumps({"repo": REPO, **more}))


async def listed(service: Service, name: str = "course", who: str = "alice") -> dict[str, Any]:
    found: dict[str, Any] = (await service.ask("GET", f"/prepared/{name}", who)).json()
    return found


async def ready(service: Service, name: str = "course", **more: str) -> dict[str, Any]:
    """Put an environment on the list, and return it as it is once its refresh has ended."""
    reply = await put(service, name, **more)
    assert reply.status_code == 200, reply.text
    return await refreshed(service, name)


async def refreshed(service: Service, name: str = "course") -> dict[str, Any]:
    await until(lambda: not service.context.refreshes.goes_on(name), "the end of the refresh")
    return await listed(service, name)


async def test_an_administrators_entry_is_built_before_anybody_asks(service: Service) -> None:
    assert (await ready(service, description="Statistics", ref="main"))["commit"] == commit(1)
    build = await service.build("bob", **COURSE)
    assert (build["state"], build["commit"], build["owner"]) == ("ready", commit(1), "service:prepared")
    assert len(service.builder.forgotten) == 1


async def test_who_picks_one_gets_what_is_built_until_a_refresh_has_built_the_newer_commit(service: Service) -> None:
    await ready(service)
    service.provider.refs[""] = commit(2)
    assert (await service.build(**COURSE))["commit"] == commit(1)
    assert (await service.ask("POST", "/prepared/course/refresh", ADMIN)).status_code == 202
    assert (await refreshed(service))["commit"] == commit(2)
    assert (await service.build(**COURSE))["commit"] == commit(2)


async def test_a_repository_whose_server_is_away_leaves_the_old_image_and_people_are_told(service: Service) -> None:
    await ready(service)
    service.provider.error = Unavailable("The Git server did not answer.", code="git_server_timeout")
    await service.ask("POST", "/prepared/course/refresh", ADMIN)
    after = await refreshed(service)
    assert (after["commit"], after["problem"]) == (commit(1), "The Git server did not answer.")
    build = await service.build(**COURSE)
    assert build["state"] == "ready"
    assert build["notice"].endswith("so it is as it was, at commit 0000000. What went wrong: The Git server did not answer.")
    service.provider.error = None
    await service.ask("POST", "/prepared/course/refresh", ADMIN)
    assert (await refreshed(service))["problem"] == ""


async def test_a_build_that_fails_leaves_the_old_image(service: Service) -> None:
    await ready(service)
    service.provider.refs[""] = commit(2)
    service.builder.error = BuildFailed("The requirement nope does not exist.")
    await service.ask("POST", "/prepared/course/refresh", ADMIN)
    assert (await refreshed(service))["problem"] == "The requirement nope does not exist."
    assert (await service.build(**COURSE))["commit"] == commit(1)


async def test_what_is_not_built_yet_is_built_for_who_picks_it(service: Service, gate: asyncio.Event) -> None:
    await put(service)
    await until(lambda: service.context.builds.counts()["running"], "the refresh's build")
    build = await service.build(**COURSE)
    assert build["state"] != "ready"
    gate.set()
    assert (await refreshed(service))["image"] == (await service.build(**COURSE))["image"]


async def test_a_push_that_comes_while_a_refresh_goes_on_is_not_missed(service: Service, gate: asyncio.Event) -> None:
    await put(service)
    await until(lambda: service.context.builds.counts()["running"], "the refresh's build")
    service.provider.refs[""] = commit(2)
    await service.ask("POST", "/prepared/course/refresh", ADMIN)
    gate.set()
    await until(lambda: service.context.prepared.get("course").commit == commit(2), "the second refresh")


async def test_all_are_looked_at_when_the_service_starts_and_again_when_it_is_time(service: Service) -> None:
    await ready(service)
    told: list[tuple[str, str, str]] = []
    for every_seconds, asks in ((3600, 1), (1e-9, 2)):
        before = len(service.provider.asked)
        refreshes = Refreshes(
            service.context.prepared, service.context.builds, every_seconds, lambda one, action, who: told.append((one.name, action, who))
        )
        for _ in range(2):
            await refreshes.begin_due()
            await until(lambda: not refreshes.goes_on("course"), "the end of the refresh")  # noqa: B023  # within this turn
        assert len(service.provider.asked) - before == asks
    assert told == [("course", "refreshed", "")] * 3


async def test_administrators_change_the_list_and_who_may_build_reads_it(service: Service) -> None:
    await ready(service, description="Statistics")
    for method, path in (("PUT", ""), ("DELETE", ""), ("POST", "/refresh"), ("GET", "/hook")):
        body = {"json": {"repo": REPO}} if method == "PUT" else {}
        for who in ("alice", "narrow-admin", "robot"):
            error_of(await service.ask(method, f"/prepared/course{path}", who, **body), 403, "forbidden")
    for path in ("", "/course"):
        error_of(await service.ask("GET", f"/prepared{path}", "visitor"), 403, "forbidden")
    known = (await service.ask("GET", "/prepared")).json()
    assert known["only"] is False
    assert [(one["name"], one["description"], one["set_by"]) for one in known["environments"]] == [("course", "Statistics", ADMIN)]
    assert (await service.ask("DELETE", "/prepared/course", ADMIN)).status_code == 204
    assert (await service.ask("GET", "/prepared")).json()["environments"] == []
    error_of(await service.ask("POST", "/builds", json=COURSE), 404, "prepared_not_found")
    error_of(await service.ask("DELETE", "/prepared/course", ADMIN), 404, "prepared_not_found")


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        ("course", {}, "Name a repository."),
        ("course", {"repo": "https://user:s3cret@git.example.org/o/r"}, ""),
        ("course", {"repo": REPO, "ref": "a b"}, "No branch, tag or commit can have this name."),
        ("course", {"repo": REPO, "description": "x" * 1001}, "A description has at most 1000 characters, and an address 2048."),
        ("course", {"repo": REPO, "description": "\ud800"}, "The text has control characters in it, or cannot be written as UTF-8."),
        ("course", {"repo": REPO, "who": "me"}, "The key 'who' is not known."),
    ],
)
async def test_what_makes_no_entry_is_refused_in_a_sentence(service: Service, name: str, body: dict[str, str], message: str) -> None:
    error = error_of(await service.ask("PUT", f"/prepared/{name}", ADMIN, content=json.dumps(body)), 400)
    assert not message or error["message"] == message
    assert "s3cret" not in json.dumps(error)
    assert (await service.ask("GET", "/prepared")).json()["environments"] == []


async def test_a_banned_repository_is_neither_put_on_the_list_nor_launched_from_it(service: Service) -> None:
    await ready(service)
    ban = {"pattern": REPO, "text": "Its servers mine coins."}
    await service.ask("PUT", "/controls/ban-repository", ADMIN, json=ban)
    error_of(await put(service, "again"), 403, "repository_banned")
    error_of(await service.ask("POST", "/builds", json=COURSE), 403, "repository_banned")
    await service.ask("POST", "/prepared/course/refresh", ADMIN)
    assert (await refreshed(service))["problem"].endswith("Its servers mine coins.")


async def test_an_allow_list_is_of_the_repositories_that_environments_are_made_from(service: Service) -> None:
    await service.ask("PUT", "/controls/allow-repository", ADMIN, json={"pattern": REPO})
    await ready(service)
    assert (await service.build(**COURSE))["state"] == "ready"


async def test_where_only_prepared_environments_may_be_used_nothing_else_is(service: Service) -> None:
    service.context.prepared.only = True
    await ready(service)
    assert (await service.build(**COURSE))["state"] == "ready"
    for path, body in (("/builds", {"repo": REPO}), ("/builds", {"repo": REPO, "ref": "main", "provider": "git"}), ("/launches", {"repo": REPO})):
        for who in ("alice", ADMIN):
            error = error_of(await service.ask("POST", path, who, json=body), 403, "only_prepared")
            assert (error["message"], error["hint"]) == ("Only prepared environments may be used here.", "There are: course.")
    assert (await service.ask("GET", "/prepared")).json()["only"] is True


async def test_a_launch_of_a_prepared_environment_starts_a_server_by_its_name(service: Service) -> None:
    await ready(service)
    await service.ask("POST", "/launches", json={**COURSE, "path": "a.ipynb"})
    [asked] = [asked for asked in service.hub.asked if asked.method == "POST"]
    assert asked.path.startswith("/users/alice/servers/course-")
    assert asked.body == {"repo": "course", "ref": "", "path": "a.ipynb", "provider": "prepared"}


@pytest.mark.parametrize("proof", ["github", "gitea", "gitlab", "bearer"])
async def test_a_forge_that_knows_the_secret_begins_a_refresh(service: Service, proof: str) -> None:
    await ready(service)
    service.provider.refs[""] = commit(2)
    hook = (await service.ask("GET", "/prepared/course/hook", ADMIN)).json()
    body = json.dumps({"commits": ["x" * 100_000]}).encode()
    signature = hmac.new(hook["secret"].encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "github": {"X-Hub-Signature-256": f"sha256={signature}"},
        "gitea": {"X-Gitea-Signature": signature},
        "gitlab": {"X-Gitlab-Token": hook["secret"]},
        "bearer": {"Authorization": f"Bearer {hook['secret']}"},
    }[proof]
    assert (await service.client.post(hook["url"], content=body, headers=headers)).status_code == 202
    await until(lambda: service.context.prepared.get("course").commit == commit(2), "the refresh")


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        ("course", {}),
        ("course", {"X-Hub-Signature-256": "sha256=" + "0" * 64}),
        ("course", {"X-Hub-Signature-256": "sha256="}),
        ("course", {"X-Gitlab-Token": ""}),
        ("course", {"X-Gitlab-Token": "n\u00f6"}),
        ("course", {"Authorization": "token token-of-root-admin"}),
        ("other", {"Authorization": "token token-of-root-admin"}),
    ],
)
async def test_a_webhook_without_the_secret_begins_nothing(service: Service, name: str, headers: dict[str, str]) -> None:
    await ready(service)
    asked = len(service.provider.asked)
    given = {key: value.encode("utf-8") for key, value in headers.items()}
    reply = await service.client.post(f"{PREFIX}api/hooks/{name}", content=b"{}", headers=given)
    assert error_of(reply, 403, "forbidden")["message"] == "This webhook does not know the secret."
    assert len(service.provider.asked) == asked


async def test_a_webhooks_payload_may_be_as_large_as_the_largest_of_github(service: Service) -> None:
    assert streamed_bytes(service.context)[f"{PREFIX}api/hooks/"] == 25 * 1024**2


async def test_a_secret_is_of_one_environment_and_its_repository(service: Service) -> None:
    hooks = service.context.hooks
    secrets = {hooks.secret_of(PreparedEnvironment(name, repo, now())) for name, repo in (("a", "x"), ("b", "x"), ("a", "y"))}
    assert len(secrets) == 3


async def test_the_front_page_offers_them_to_who_may_build(service: Service) -> None:
    service.sign_in("alice")
    page = await service.client.get(PREFIX, headers={"Accept": "text/html"})
    assert "Prepared environments" not in page.text
    await ready(service, description="Statistics <b>2026</b>")
    page = await service.client.get(PREFIX, headers={"Accept": "text/html"})
    assert "Prepared environments" in page.text
    assert f'href="{PREFIX}v2/prepared/course"' in page.text
    assert "Statistics &lt;b&gt;2026&lt;/b&gt;" in page.text
    launch = await service.client.get(f"{PREFIX}v2/prepared/course", headers={"Accept": "text/html"})
    assert launch.status_code == 200
    assert REPO in launch.text
    assert (await service.client.get(f"{PREFIX}v2/prepared/other", headers={"Accept": "text/html"})).status_code == 404


async def test_the_front_page_has_no_form_where_only_prepared_environments_may_be_used(service: Service) -> None:
    service.context.prepared.only = True
    service.sign_in("alice")
    page = await service.client.get(PREFIX, headers={"Accept": "text/html"})
    assert "binder-link" not in page.text
    assert "There are none yet." in page.text


def test_an_image_of_a_prepared_environment_is_kept_though_nobody_uses_it() -> None:
    old = now() - timedelta(days=400)
    images = [StoredImage(name=name, bytes=5, made=old) for name in ("kept", "other")]
    gone = dispensable(images, {}, Budget(image_bytes=1, image_seconds=1), now(), kept={"kept"})
    assert [image.name for image in gone] == ["other"]


# --- the configuration -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"name": "course"}, "names no repository"),
        ({"name": "My course", "repo": "x"}, "cannot be the name of a prepared environment"),
        ({"name": "course", "repo": "x", "branch": "main"}, "There is no key 'branch'"),
        ({"name": "course", "repo": "https://u:s3cret@git.example.org/o/r"}, ""),
    ],
)
def test_a_wrong_entry_of_the_configuration_is_named(entry: dict[str, str], sentence: str) -> None:
    with pytest.raises(TraitError) as caught:
        Prepared(environments=[entry])
    assert sentence in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_name_stands_once_in_the_configuration() -> None:
    with pytest.raises(TraitError, match="same name"):
        Prepared(environments=[{"name": "course", "repo": "x"}] * 2)


async def test_entries_of_the_configuration_come_go_and_keep_what_became_of_them(tmp_path: Path) -> None:
    store = Store(write_empty_database(tmp_path / "store.sqlite"))
    await store.open()
    table = PreparedTable(store)

    async def loaded(*entries: dict[str, str]) -> PreparedEnvironments:
        environments = PreparedEnvironments(table, Prepared(environments=list(entries)).configured())
        await environments.load()
        return environments

    first = await loaded({"name": "course", "repo": "x", "ref": "main"}, {"name": "lab", "repo": "y"})
    await first.note_image(first.get("course"), "image-1", commit(1))
    by_hand = await first.put(PreparedEnvironment("mine", "z", now(), set_by="root"))
    with pytest.raises(Conflict):
        await first.put(PreparedEnvironment("course", "z", now(), set_by="root"))
    with pytest.raises(Conflict):
        await first.remove("lab")
    described = await loaded({"name": "course", "repo": "x", "ref": "main", "description": "Statistics"})
    assert [one.name for one in described.all()] == ["course", "mine"]
    assert (described.get("course").image, described.get("course").description) == ("image-1", "Statistics")
    assert described.get("mine") == by_hand
    assert described.images() == {"image-1"}
    moved = await loaded({"name": "course", "repo": "x", "ref": "next"})
    assert moved.get("course").image == ""
    await moved.note_image(described.get("course"), "image-2", commit(2))  # of a refresh that began before
    assert moved.get("course").image == ""
    await store.close()
