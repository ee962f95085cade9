"""No expression that meets a build's output or a person's input takes more than linear time, whatever it is given."""

from __future__ import annotations

import re
import time
from functools import cache

import pytest

from tests.harness.patterns import Use, is_short, uses_in, worst_inputs

TINY = 20
SMALL = 4 * 1024
SURELY_LINEAR_SECONDS = 0.0005
MOST_GROWTH = 9.0  # four times the text: 4 if the time is linear, 16 if it is quadratic


@cache
def uses() -> list[Use]:
    """Return every use of an expression; they are looked for by the one process that tries them, and not by all that collect tests."""
    return [use for package in ("binder_client", "binderhub_service", "spawner") for use in uses_in(package)]


def once(use: Use, text: str) -> float:
    """Return how many seconds of this thread an expression takes, whatever else the machine does."""
    begun = time.thread_time()
    use.run(text)
    return time.thread_time() - begun


def best(use: Use, text: str) -> float:
    """Return how many seconds an expression takes when nothing else disturbs."""
    return min(once(use, text) for _ in range(3))


def slow_input(use: Use, size: int = SMALL) -> str | None:
    """Return an input for which an expression takes more than linear time, shortened for people; None if there is none.

    Args:
        size: how many characters the smaller of two inputs has; the larger has four times as many.
    """
    for tiny in worst_inputs(use.pattern, TINY):  # exponential time would never end with more
        if once(use, tiny) > SURELY_LINEAR_SECONDS and best(use, tiny) > SURELY_LINEAR_SECONDS:
            return tiny
    if is_short(use.pattern):
        return None
    for small, large in zip(worst_inputs(use.pattern, size), worst_inputs(use.pattern, 4 * size), strict=True):
        if once(use, small) > SURELY_LINEAR_SECONDS and all(grows_too_much(use, small, large) for _ in range(2)):
            return small[:60]
    return None


def grows_too_much(use: Use, small: str, large: str) -> bool:
    """Say whether the larger text takes more than `MOST_GROWTH` times as long even when nothing else disturbs; the first time it does not tells."""
    most = MOST_GROWTH * best(use, small)
    return all(once(use, large) > most for _ in range(3))


def test_the_expressions_of_all_packages_are_found() -> None:
    found = {use.where.partition(".")[0].partition(":")[0] for use in uses()}
    assert found == {"binder_client", "binderhub_service", "spawner"}
    assert len(uses()) > 50


def test_an_expression_takes_linear_time() -> None:
    tried = {f"{use.where}-{use.method}": slow_input(use) for use in uses()}
    assert {where: slow for where, slow in tried.items() if slow is not None} == {}


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (r"[a-z][a-z0-9+.-]*://", SMALL // 4),
        (r"^\s*path\s*=", SMALL // 4),
        (r"failed to .*token", SMALL),
        (r"^ > \[[^\]]*\d+/\d+\] x", SMALL // 2),
        (r"(?:a+)+b", SMALL),
        (r"(\w+\s?)+:", SMALL),
    ],
)
def test_an_expression_that_takes_quadratic_time_is_found(text: str, size: int) -> None:
    assert slow_input(Use("here", re.compile(text, re.MULTILINE), "search"), size)


@pytest.mark.parametrize(
    ("text", "short"),
    [(r"(?:ab?){0,50}c|d", True), (r"a{1,30}(?:bc){9,60}", True), (r"a*b", False), (r"(?:a{1,50}){1,50}", False), ("a(?=b*c)", False)],
)
def test_an_expression_that_matches_short_texts_only_is_told_from_the_others(text: str, short: bool) -> None:
    assert is_short(re.compile(text)) is short
