"""binder-build's names, and what it takes for true."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from binderhub_service.handlers.legacy.binder_build_protocol import FIRST_OF, Malformed, asked_for, is_true, kebab_case
from binderhub_service.models import Request

GITHUB = "https://github.com"


@pytest.mark.parametrize(
    ("repository", "name", "display_name", "request_"),
    [
        (f"{GITHUB}/binder-project/example", "binder-project-example", "binder-project/example", Request(f"{GITHUB}/binder-project/example")),
        ("http://www.github.com/a/b", "a-b", "a/b", Request("http://www.github.com/a/b")),
        ("https://notgithub.com/a/b", "a-b", "a/b", Request("https://notgithub.com/a/b")),
        (f"{GITHUB}/Binder-Project/Example", "Binder-Project-Example", "Binder-Project/Example", Request(f"{GITHUB}/Binder-Project/Example")),
        (f"{GITHUB}/a/b/", "a-b-", "a/b/", Request(f"{GITHUB}/a/b")),
        (f"{GITHUB}/a/b.git", "a-b.git", "a/b.git", Request(f"{GITHUB}/a/b.git")),
        (f"{GITHUB}/a/b/tree/dev", "a-b-tree-dev", "a/b/tree/dev", Request(f"{GITHUB}/a/b", "dev")),
        (f"{GITHUB}/a/b/tree/feature/x", "a-b-tree-feature-x", "a/b/tree/feature/x", Request(f"{GITHUB}/a/b", "feature/x")),
        ("https://gitlab.com/a/b", "https://gitlab.com/a/b", "https://gitlab.com/a/b", Request("https://gitlab.com/a/b")),
        ("http://git.here:81/a/b", "a-b", "a/b", Request("http://git.here:81/a/b")),
        ("git@github.com:a/b.git", "git@github.com:a/b.git", "git@github.com:a/b.git", None),
        ("a/b", "a/b", "a/b", None),
        ("http://[", "http://[", "http://[", None),
    ],
)
def test_a_build_is_known_by_a_name_of_its_address(repository: str, name: str, display_name: str, request_: Request | None) -> None:
    asked = asked_for({"repository": repository}, {"git.here:81"})
    expected = request_ and replace(request_, first_of=FIRST_OF)
    assert (asked.repository, asked.name, asked.display_name, asked.request) == (repository, name, display_name, expected)


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 422), ([], 422), ({"repo": GITHUB}, 422), ({"repository": ""}, 422), ({"repository": GITHUB}, 422), ({"repository": f"{GITHUB}/a\0"}, 422)]
    + [({"repository": value}, 500) for value in (5, None, [], {})]
    + [({"repository": f"{GITHUB}/{'a' * 1000}"}, 422)],
)
def test_what_names_no_repository_is_refused(body: Any, status: int) -> None:
    with pytest.raises(Malformed) as refused:
        asked_for(body)
    assert refused.value.status == status


@pytest.mark.parametrize("value", [None, False, 0, 0.0, float("nan"), "", "false", "FALSE"])
def test_what_javascript_takes_for_false_does_not_force(value: object) -> None:
    assert not is_true(value)


@pytest.mark.parametrize("value", [True, 1, -1.5, "true", "0", "no", [], {}])
def test_what_javascript_takes_for_true_forces(value: object) -> None:
    assert is_true(value)


@pytest.mark.parametrize(("key", "read"), [("repository", "repository"), ("Repository", "repository"), ("repoName", "repo-name"), ("a_b c", "a-b-c")])
def test_keys_are_read_in_every_spelling(key: str, read: str) -> None:
    assert kebab_case(key) == read
