"""Who is next."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from binderhub_service.builds.queue import Queue


def queue_of(*waiting: tuple[str, str]) -> Queue:
    queue = Queue()
    for build_id, owner in waiting:
        queue.add(build_id, owner)
    return queue


def taken(queue: Queue) -> list[str]:
    order = []
    while build_id := queue.take():
        order.append(build_id)
    return order


def test_one_person_is_served_first_come_first_served() -> None:
    assert taken(queue_of(("1", "a"), ("2", "a"), ("3", "a"))) == ["1", "2", "3"]


def test_people_take_turns_however_many_builds_one_has() -> None:
    queue = queue_of(("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("c1", "c"))
    assert queue.in_order() == ["a1", "b1", "c1", "a2", "a3"]
    assert taken(queue) == ["a1", "b1", "c1", "a2", "a3"]


def test_who_was_served_waits_behind_who_comes_meanwhile() -> None:
    queue = queue_of(("a1", "a"), ("a2", "a"))
    assert queue.take() == "a1"
    queue.add("b1", "b")
    assert queue.in_order() == ["a2", "b1"]


def test_an_empty_queue_gives_nothing() -> None:
    assert (queue_of().take(), len(queue_of()), queue_of().in_order()) == (None, 0, [])


def test_a_build_leaves_from_wherever_it_waits() -> None:
    queue = queue_of(("a1", "a"), ("a2", "a"), ("b1", "b"))
    queue.remove("b1")
    queue.remove("a1")
    queue.remove("never seen")
    assert (taken(queue), len(queue)) == (["a2"], 0)


OWNERS = st.lists(st.sampled_from("abc"), max_size=12)


@given(OWNERS)
def test_the_order_that_is_told_is_the_order_that_comes(owners: list[str]) -> None:
    queue = queue_of(*((str(number), owner) for number, owner in enumerate(owners)))
    told = queue.in_order()
    assert len(queue) == len(told) == len(owners)
    assert taken(queue) == told


@given(OWNERS)
def test_nobody_is_ever_two_turns_behind_anybody_who_waits(owners: list[str]) -> None:
    queue = queue_of(*((str(number), owner) for number, owner in enumerate(owners)))
    served: Counter[str] = Counter()
    waiting = Counter(owners)
    while build_id := queue.take():
        owner = owners[int(build_id)]
        served[owner] += 1
        waiting[owner] -= 1
        assert all(served[owner] - served[other] <= 1 for other in waiting if waiting[other] > 0)
