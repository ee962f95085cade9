"""No expression that meets a build's output or a person's input takes more than linear time, whatever it is given."""

from __future__ import annotations

import re
import time

import pytest

from tests.harness.patterns import Use, uses_in, worst_inputs

TINY = 20
SMALL = 4 * 1024
LARGE = 4 * SMALL
SURELY_LINEAR_SECONDS = 0.0005
MOST_GROWTH = 9.0  # four times the text: 4 if the time is linear, 16 if it is quadratic

USES = [use for package in ("binder_client", "binderhub_service", "spawner") for use in uses_in(package)]


def once(use: Use, text: str) -> float:
    """Return how many seconds of this thread an expression takes, whatever else the machine does."""
    begun = time.thread_time()
    use.run(text)
    return time.thread_time() - begun


def best(use: Use, text: str) -> float:
    """Return how many seconds an expression takes when nothing else disturbs."""
    return min(once(use, text) for _ in range(3))


def slow_input(use: Use) -> str | None:
    """Return an input for which an expression takes more than linear time, shortened for people; None if there is none."""
    for tiny in worst_inputs(use.pattern, TINY):  # exponential time would never end with more
        if once(use, tiny) > SURELY_LINEAR_SECONDS and best(use, tiny) > SURELY_LINEAR_SECONDS:
            return tiny
    for small, large in zip(worst_inputs(use.pattern, SMALL), worst_inputs(use.pattern, LARGE), strict=True):
        if once(use, small) > SURELY_LINEAR_SECONDS and all(grows_too_much(use, small, large) for _ in range(2)):
            return small[:60]
    return None


def grows_too_much(use: Use, small: str, large: str) -> bool:
    """Say whether the larger text takes more than `MOST_GROWTH` times as long even when nothing else disturbs; the first time it does not tells."""
    most = MOST_GROWTH * best(use, small)
    return all(once(use, large) > most for _ in range(3))


def test_the_expressions_of_all_packages_are_found() -> None:
    found = {use.where.partition(".")[0].partition(":")[0] for use in USES}
    assert found == {"binder_client", "binderhub_service", "spawner"}
    assert len(USES) > 50


@pytest.mark.parametrize("use", USES, ids=lambda use: f"{use.where}-{use.method}")
def test_an_expression_takes_linear_time(use: Use) -> None:
    assert slow_input(use) is None


@pytest.mark.parametrize(
    "text", [r"[a-z][a-z0-9+.-]*://", r"^\s*path\s*=", r"failed to .*token", r"^ > \[[^\]]*\d+/\d+\] x", r"(?:a+)+b", r"(\w+\s?)+:"]
)
def test_an_expression_that_takes_quadratic_time_is_found(text: str) -> None:
    assert slow_input(Use("here", re.compile(text, re.MULTILINE), "search"))
