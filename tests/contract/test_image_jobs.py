"""Image jobs in the store."""

from __future__ import annotations

from datetime import timedelta

from binderhub_service.models import ImageJob, now
from binderhub_service.store.image_jobs import ImageJobTable
from binderhub_service.store.store import Store


async def test_jobs_that_ended_are_forgotten_and_others_are_not(store_url: str) -> None:
    store, moment = Store(store_url), now()
    await store.open()
    table = ImageJobTable(store)
    for name, hours, ended in (("old", 3, True), ("old-and-running", 3, False), ("young", 1, True)):
        await table.put(ImageJob(name, "image", "alice", moment - timedelta(hours=hours), ended=ended))
    await table.forget(moment - timedelta(hours=2))
    assert [name for name in ("old", "old-and-running", "young") if await table.get(name)] == ["old-and-running", "young"]
    await store.close()
