"""BinderSpawner's pods, profiles and form, with a stand-in for the cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio
from traitlets.config import Config

from binder_client.client import BuildClient
from spawner.kubernetes.profiles import Profiles
from spawner.kubernetes.spawner import BinderSpawner
from spawner.options import options_from_json
from spawner.prepared import NOTHING_PREPARED, PreparedList
from spawner.rejection import Rejection
from tests.spawner.cluster import NAMESPACE, stand_in
from tests.spawner.fakes import COMMIT, REPO

IMAGE = f"registry.example.org/o-r@sha256:{'0' * 64}"
BUILD = {"id": "b1", "repo": REPO, "ref": "main", "commit": COMMIT, "image": IMAGE}
UNLISTED = {"enabled": True, "display_name": "Another", "validation_regex": "[0-9]+G", "kubespawner_override": {"mem_limit": "{value}"}}
PROFILES: list[dict[str, Any]] = [
    {"display_name": "Small", "kubespawner_override": {"mem_limit": "1G", "image": "evil", "environment": {"SIZE": "small"}}},
    {
        "display_name": "Big",
        "profile_options": {
            "memory": {
                "display_name": "Memory",
                "choices": {"two": {"display_name": "2", "kubespawner_override": {"mem_limit": "2G"}}},
                "unlisted_choice": UNLISTED,
            },
            "image": {"display_name": "Image", "choices": {"evil": {"display_name": "Evil", "kubespawner_override": {"image": "evil"}}}},
        },
    },
]


@pytest_asyncio.fixture(loop_scope="function", autouse=True)
async def cluster(tmp_path: Path) -> AsyncIterator[None]:
    async with stand_in(tmp_path):
        yield


@pytest.fixture(autouse=True)
def nothing_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no hub here, with whose tokens the service could be asked what a form should say."""

    async def nothing(*_: object) -> tuple[list[str], PreparedList]:
        return [], NOTHING_PREPARED

    monkeypatch.setattr("spawner.repo_form.told_to_form", nothing)


class ServiceWithProfile:
    """The service, which knows one prepared environment."""

    def __init__(self, profile: str) -> None:
        self.profile = profile

    async def ask_object(self, method: str, path: str) -> dict[str, str]:
        assert (method, path) == ("GET", "prepared/course")
        return {"profile": self.profile}


def made(**settings: Any) -> BinderSpawner:
    """Return a spawner with these settings of the operator's, whose image is there."""
    spawner: BinderSpawner = BinderSpawner(_mock=True, config=Config(BinderSpawner={"namespace": NAMESPACE, **settings}))
    spawner.user_options = {"repo": REPO}
    spawner.repo_build = dict(BUILD)
    spawner.use_image(BUILD)
    return spawner


async def container(**settings: Any) -> Any:
    return (await made(**settings).get_pod_manifest()).spec.containers[0]


def volumes(*paths: str) -> dict[str, Any]:
    named = [(f"v{number}", path) for number, path in enumerate(paths)]
    return {
        "volumes": [{"name": name, "emptyDir": {}} for name, _ in named],
        "volume_mounts": {name: {"name": name, "mountPath": path} for name, path in named},
    }


# --- the pod ---------------------------------------------------------------------------------------------------------


async def test_the_image_is_by_digest_or_there_is_no_server() -> None:
    with pytest.raises(Rejection, match="no digest"):
        made().use_image({**BUILD, "image": "registry.example.org/o-r:1"})


async def test_a_template_has_its_command_and_lowers_what_the_operator_gives() -> None:
    template = {"template_command": "start.sh $(X)", "template_memory": str(2**30), "template_cpu_shares": "256"}
    spawner = made(args=["--debug"], mem_limit="2G", mem_guarantee="2G", cpu_guarantee=1)
    spawner._repo_options = options_from_json({"repo": "docker://debian:12", **template})
    one = (await spawner.get_pod_manifest()).spec.containers[0]
    assert one.args[-3:] == ["start.sh", "$$(X)", "--debug"]
    assert one.resources.limits == {"memory": 2**30}
    assert one.resources.requests == {"memory": 2**30, "cpu": 0.25}


async def test_the_command_is_the_scripts_then_the_operators_and_nothing_of_it_is_expanded() -> None:
    command = (await container(cmd=["start.sh", "$(JUPYTERHUB_USER)"], args=["--debug"])).args
    assert command[:2] == ["sh", "-c"]
    assert "$$(id -u)" in command[2]
    assert "$(" not in command[2].replace("$$(", "")
    assert command[3:] == ["binder", "", "", COMMIT, "", "start.sh", "$(JUPYTERHUB_USER)", "--debug"]


async def test_without_a_command_of_the_operators_the_server_is_jupyters() -> None:
    assert (await container()).args[-1] == (await container(cmd=None)).args[-1] == "jupyterhub-singleuser"


async def test_a_home_that_stays_is_where_the_copy_is_and_hides_nothing() -> None:
    made = await container(**volumes("/home/jovyan/", "/home/jovyan/shared", "/data"))
    assert [mount.mount_path for mount in made.volume_mounts] == ["/home/person", "/home/person/shared", "/data"]
    copy, volume_list = made.args[5], made.args[7]
    assert copy.startswith("/home/person/default/r-")
    assert volume_list == "/home/person:/home/person/shared:/data"
    assert [variable.value for variable in made.env if variable.name == "HOME"] == ["/home/person"]


async def test_an_operator_may_set_the_variable_home_and_where_homes_are() -> None:
    made = await container(home_dir="/people", hidden_home="", environment={"HOME": "/elsewhere"}, **volumes("/people", "/home/jovyan"))
    assert [mount.mount_path for mount in made.volume_mounts] == ["/people", "/home/jovyan"]
    assert made.args[5].startswith("/people/default/r-")
    assert [variable.value for variable in made.env if variable.name == "HOME"] == ["/elsewhere"]


async def test_volumes_elsewhere_are_no_home() -> None:
    made = await container(**volumes("/home/jovyan/shared", "/data"))
    assert [mount.mount_path for mount in made.volume_mounts] == ["/home/jovyan/shared", "/data"]
    assert made.args[5] == ""
    assert not [variable for variable in made.env if variable.name == "HOME"]


async def test_pods_have_the_least_rights_unless_the_operator_says_otherwise() -> None:
    pod = await made().get_pod_manifest()
    assert pod.spec.security_context == {"fsGroup": 100}
    context = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}}
    assert pod.spec.containers[0].security_context == context
    pod = await made(fs_gid=5, container_security_context={"runAsNonRoot": True}).get_pod_manifest()
    assert pod.spec.security_context == {"fsGroup": 5}
    assert pod.spec.containers[0].security_context == {"allowPrivilegeEscalation": False, "runAsNonRoot": True}


# --- profiles --------------------------------------------------------------------------------------------------------


async def test_a_profile_is_applied_but_for_its_image() -> None:
    spawner = made(profile_list=PROFILES)
    spawner.user_options = {"repo": REPO, "profile": "small"}
    await spawner.load_user_options()
    assert (spawner.mem_limit, spawner.image, spawner.environment) == (2**30, IMAGE, {"SIZE": "small"})
    assert spawner.user_options == {"repo": REPO, "profile": "small"}


@pytest.mark.parametrize(("option", "gigabytes"), [({"memory": "two"}, 2), ({"memory--unlisted-choice": "7G"}, 7), ({}, 2)])
async def test_an_option_of_a_profile_is_applied(option: dict[str, str], gigabytes: int) -> None:
    spawner = made(profile_list=PROFILES)
    spawner.user_options = {"repo": REPO, "profile": "big", **option}
    await spawner.load_user_options()
    assert (spawner.mem_limit, spawner.image) == (gigabytes * 2**30, IMAGE)


@pytest.mark.parametrize(
    "stored", [{"profile": "huge"}, {"profile": "big", "memory": "ten"}, {"profile": "big", "memory--unlisted-choice": "7G/../x"}]
)
async def test_what_was_stored_is_validated_again(stored: dict[str, str]) -> None:
    spawner = made(profile_list=PROFILES)
    spawner.user_options = {"repo": REPO, **stored}
    with pytest.raises(Rejection) as caught:
        await spawner.load_user_options()
    assert caught.value.status_code == 400


async def later(_spawner: Any) -> list[dict[str, Any]]:
    return PROFILES


@pytest.mark.parametrize(
    "profiles", [PROFILES, {"b": PROFILES[1], "a": PROFILES[0]}, lambda _: PROFILES, later], ids=["list", "dict", "function", "coroutine"]
)
async def test_profiles_may_come_in_any_form_that_kubespawner_knows(profiles: Any) -> None:
    choices = await made(profile_list=profiles).get_choices()
    assert isinstance(choices, Profiles)
    assert [profile["slug"] for profile in choices.profiles] == ["small", "big"]
    assert "profile-option-big--memory" in choices.names
    assert not any("image" in name for name in choices.names)


# --- the form --------------------------------------------------------------------------------------------------------


async def test_the_form_has_the_repository_and_then_the_profiles() -> None:
    spawner = made(profile_list=PROFILES)
    spawner.user_options = {"repo": REPO, "profile": "big", "memory--unlisted-choice": "7G"}
    form = await spawner.get_options_form()
    assert form.index('name="repo"') < form.index("<fieldset") < form.index('id="profile-item-big"') < form.index("</fieldset>")
    assert '"memory--unlisted-choice": "7G"' in form
    assert "evil" not in form
    assert spawner.user_options == {"repo": REPO, "profile": "big", "memory--unlisted-choice": "7G"}


async def test_what_was_stored_and_is_not_offered_any_more_is_not_shown() -> None:
    spawner = made(profile_list=PROFILES)
    spawner.user_options = {"repo": REPO, "profile": "big", "memory--unlisted-choice": "</script><script>{{7*7}}"}
    assert "7*7" not in await spawner.get_options_form()


async def test_without_profiles_the_form_is_the_repositorys_alone() -> None:
    assert "<fieldset" not in await made().get_options_form()


async def test_an_operators_own_template_shows_the_profiles() -> None:
    template = "{% for profile in profile_list %}<b>{{ profile.slug }}</b>{% endfor %}{ {{ user_options.profile }} }"
    spawner = made(profile_list=PROFILES, profile_form_template=template)
    spawner.user_options = {"repo": REPO, "profile": "big"}
    assert "<b>small</b><b>big</b>{ big }" in await spawner.get_options_form()


@pytest.mark.parametrize(("profile", "chosen"), [("small", {"profile": "small"}), ("", {"profile": "big", "memory": "two"})])
async def test_a_prepared_environments_profile_wins_over_what_a_person_chose(profile: str, chosen: dict[str, str]) -> None:
    spawner, stored = made(profile_list=PROFILES), list[dict[str, str]]()
    spawner._store_options = stored.append  # type: ignore[method-assign]
    given = {"repo": "course", "provider": "prepared", "profile": "big", "memory": "two"}
    options = options_from_json(given, await spawner.get_choices())
    found = await spawner._prepared(cast(BuildClient, ServiceWithProfile(profile)), options)
    assert found.chosen == chosen
    assert stored == [found.as_user_options()]


async def test_a_prepared_environment_with_a_profile_that_is_not_offered_is_a_sentence() -> None:
    spawner = made(profile_list=PROFILES)
    options = options_from_json({"repo": "course", "provider": "prepared"}, await spawner.get_choices())
    with pytest.raises(Rejection, match=r"The prepared environment course cannot be started\. huge is not offered for profile\."):
        await spawner._prepared(cast(BuildClient, ServiceWithProfile("huge")), options)


# --- what the hub stores ---------------------------------------------------------------------------------------------


async def test_what_is_stored_is_kubespawners_and_the_builds() -> None:
    spawner = made()
    state = spawner.get_state()
    assert state["binder"] == {"id": "b1", "image": IMAGE}
    assert state["pod_name"] == spawner.pod_name
    again = made()
    again.load_state({**state, "pod_name": "an-older-name"})
    assert (again.pod_name, again.repo_build) == ("an-older-name", {"id": "b1", "image": IMAGE})
    again.clear_state()
    assert (again.pod_name, again.repo_build) == (spawner.pod_name, {})
