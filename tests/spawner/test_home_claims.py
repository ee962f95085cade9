"""Claims of volumes belong to accounts: nobody gets, or deletes, one by taking a name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest_asyncio
from kubernetes_asyncio.client import V1ObjectMeta, V1PersistentVolumeClaim
from traitlets.config import Config

from spawner.kubernetes.spawner import BinderSpawner
from tests.spawner.cluster import NAMESPACE, Cluster, stand_in

LONG_AGO = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = datetime.now(UTC) + timedelta(days=9)
VOLUMES = [
    {"name": "home", "persistentVolumeClaim": {"claimName": "{pvc_name}"}},
    {"name": "old", "persistentVolumeClaim": {"claimName": "home-alice"}},
]


@pytest_asyncio.fixture(loop_scope="function", autouse=True)
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with stand_in(tmp_path) as cluster:
        yield cluster


def spawner_of(cluster: Cluster, name: str = "alice", number: int = 1, created: datetime = LONG_AGO, **settings: Any) -> BinderSpawner:
    """Return the spawner of an account's server, as it is when the hub has just begun."""
    own = {"namespace": NAMESPACE, "storage_pvc_ensure": True, "pvc_name_template": "home-{username}", "volumes": VOLUMES, **settings}
    spawner: BinderSpawner = BinderSpawner(_mock=True, config=Config(BinderSpawner=own))
    spawner.user.name, spawner.user.id, spawner.user.created = name, number, created.replace(tzinfo=None)
    spawner.user.orm_user, spawner.user.db = None, SimpleNamespace(refresh=lambda user, names: None)
    spawner.pvc_name = spawner._expand_user_properties(spawner.pvc_name_template)
    spawner.api = cluster
    spawner.repo_build = {"id": "b", "repo": "https://git.example.org/o/r", "ref": "main", "commit": "0" * 40}
    return spawner


async def claim_of(spawner: BinderSpawner) -> str:
    """Return the claim that KubeSpawner takes or makes for a server."""
    assert await spawner._make_create_pvc_request(spawner.get_pvc_manifest(), 1)
    return str(spawner.pvc_name)


def add(cluster: Cluster, name: str, created: datetime) -> None:
    """Add a claim of an earlier version's."""
    cluster.claims[name] = V1PersistentVolumeClaim(metadata=V1ObjectMeta(name=name, creation_timestamp=created))


async def test_a_claim_has_the_usual_name_and_says_whose_it_is(cluster: Cluster) -> None:
    assert await claim_of(spawner_of(cluster)) == "home-alice"
    assert cluster.claims["home-alice"].metadata.labels["binder.account"] == "20260301120000000000-1"
    assert await claim_of(spawner_of(cluster)) == "home-alice", "again"


async def test_who_takes_a_name_gets_another_claim_and_only_that_is_mounted(cluster: Cluster) -> None:
    await claim_of(spawner_of(cluster))
    late = spawner_of(cluster, created=LATER)
    own = await claim_of(late)
    assert own == f"home-alice-{LATER:%Y%m%d%H%M%S%f}-1"
    assert await claim_of(spawner_of(cluster, created=LATER)) == own
    pod = await late.get_pod_manifest()
    assert [volume.persistent_volume_claim["claimName"] for volume in pod.spec.volumes] == [own, own]


async def test_a_claim_follows_an_account_that_is_renamed(cluster: Cluster) -> None:
    await claim_of(spawner_of(cluster))
    assert await claim_of(spawner_of(cluster, "alicia")) == "home-alice"


async def test_a_claim_of_an_earlier_version_is_the_accounts_unless_it_is_older(cluster: Cluster) -> None:
    add(cluster, "home-alice", LONG_AGO)
    assert await claim_of(spawner_of(cluster, created=LONG_AGO + timedelta(microseconds=900))) == "home-alice", "clusters keep whole seconds"
    assert await claim_of(spawner_of(cluster, created=LONG_AGO + timedelta(seconds=1))) != "home-alice"
    assert await spawner_of(cluster)._check_pvc_exists("home-alice", NAMESPACE)
    assert not await spawner_of(cluster, created=LATER)._check_pvc_exists("home-alice", NAMESPACE)


async def test_what_is_deleted_with_an_account_is_its_own(cluster: Cluster) -> None:
    await claim_of(spawner_of(cluster))
    late = spawner_of(cluster, created=LATER)
    await late.delete_forever()
    assert set(cluster.claims) == {"home-alice"}, "who never started a server has none"
    await claim_of(late)
    await spawner_of(cluster, created=LATER).delete_forever()
    assert set(cluster.claims) == {"home-alice"}
    await spawner_of(cluster).delete_forever()
    assert cluster.claims == {}


async def test_claims_of_servers_are_told_apart(cluster: Cluster) -> None:
    settings = {"pvc_name_template": "home-{user_server}"}
    first, second = spawner_of(cluster, **settings), spawner_of(cluster, **settings)
    second.orm_spawner = SimpleNamespace(name="two", server=None)
    second.pvc_name = "home-alice--two"
    assert (await claim_of(first), await claim_of(second)) == ("home-alice", "home-alice--two")
    await second.delete_forever()
    assert set(cluster.claims) == {"home-alice"}


async def test_a_claim_that_is_everybodys_is_nobodys(cluster: Cluster) -> None:
    everybodys = {"pvc_name_template": "shared"}
    assert await claim_of(spawner_of(cluster, **everybodys)) == await claim_of(spawner_of(cluster, created=LATER, **everybodys)) == "shared"
    assert "binder.account" not in cluster.claims["shared"].metadata.labels
