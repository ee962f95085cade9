"""Names: BinderHub's slugs, and what every mode may rely on."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from binderhub_service import names
from binderhub_service.builds.build_ids import BuildIds
from tests.harness.records import source

PREFIX = "reg.example.com/proj/bh-"
# Taken from a running BinderHub.
SLUGS = [
    ("binder-examples-octave", "binder-2dexamples-2doctave-03025a"),
    ("binderhub-ci-repos-cached-minimal-dockerfile", "binderhub-2dci-2drepos-2dcached-2dminimal-2ddockerfile-c90b2b"),
    (
        "https://github.com/binderhub-ci-repos/cached-minimal-dockerfile",
        "https-3a-2f-2fgithub-2ecom-2fbinderhub-2dci-2drepos-2fcached-2dminimal-2ddockerfile-f3b374",
    ),
    ("gitlab_-org-gitlab_-foss", "gitlab-5f-2dorg-2dgitlab-5f-2dfoss-a53a80"),
    ("figshare-9782777.v3", "figshare-2d9782777-2ev3-cf7eea"),
    ("dataverse-dvn-2ftjclkp", "dataverse-2ddvn-2d2ftjclkp-a1371f"),
    ("User_Name-Repo_", "user-5fname-2drepo-5f-cf78d2"),
]
SHORT_SLUGS = [
    ("binderhub-ci-repos-cached-minimal-dockerfile", "binderhub-2dci-2drepos-2dcached-2dminimal-2-c90b2b"),
    ("https://github.com/binderhub-ci-repos/cached-minimal-dockerfile", "https-3a-2f-2fgithub-2ecom-2fbinderhub-2dci-f3b374"),
]
REFS = [
    ("1479e0252b2e648bb755ee913292b79495931717", "147-e2"),
    ("596b52f10efb0c9befc0c4ae850cc5175297d71c", "596-01"),
    ("9782777.v3", "978-60"),
    ("3035124.v3.0", "303-21"),
    ("ABCDEF", "abc-e9"),
]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@pytest.mark.parametrize(("slug", "wanted"), SLUGS)
def test_slugs_are_those_of_binderhub(slug: str, wanted: str) -> None:
    assert names.safe_slug(slug, 255 - len(PREFIX)) == wanted


@pytest.mark.parametrize(("slug", "wanted"), SHORT_SLUGS)
def test_slugs_are_cut_as_binderhub_cuts_them(slug: str, wanted: str) -> None:
    assert names.safe_slug(slug, 50) == wanted


@pytest.mark.parametrize(("ref", "wanted"), REFS)
def test_the_short_name_of_a_ref_is_binderhubs(ref: str, wanted: str) -> None:
    assert names.safe_slug(ref, 6, hash_length=2) == wanted


@given(TEXT, st.integers(20, 200))
def test_a_slug_is_short_and_safe_everywhere(text: str, limit: int) -> None:
    slug = names.safe_slug(text, limit)
    assert len(slug) <= limit
    assert re.fullmatch(r"[a-z0-9-]+", slug)


def test_an_image_as_a_directory_differs_by_source_and_settings_and_by_nothing_else() -> None:
    name = names.directory_name(source(1), "settings")
    assert name == names.directory_name(replace(source(1), ref="another ref"), "settings")
    others = [
        names.directory_name(source(2), "settings"),
        names.directory_name(source(1), "other"),
        names.directory_name(source(1, repo="https://git.example.org/o/R"), "settings"),
    ]
    assert len({name, *others}) == 4
    assert re.fullmatch(r"[a-z0-9-]{1,200}", name)


def test_a_long_address_still_makes_a_directory_name() -> None:
    long = names.directory_name(source(1, repo="https://git.example.org/" + "é/" * 900), "s")
    assert len(long) < 200


SHA = "0123456789abcdef0123456789abcdef01234567"


@given(TEXT, TEXT)
@example("https://github.com/o/2024-course", "HEAD")
@example("https://github.com/o/intro-to-data-science-2024", SHA)
@example("https://github.com/o/intro-to-data-science-", "-feature/a-very-long-branch-name")
@example("https://github.com/o/ıİß²½--_..", "½.½")
@example("", "")
def test_a_server_name_is_one_that_every_hub_takes(repo: str, ref: str) -> None:
    slugs = pytest.importorskip("jupyterhub.slugs", reason="This JupyterHub has no rule for the names of servers.")
    name = names.server_name(repo, ref)
    assert slugs.is_valid_safe_slug(name), name
    assert name == names.server_name(repo, ref)


@given(TEXT, TEXT, TEXT)
def test_other_repositories_and_refs_have_servers_of_other_names(repo: str, ref: str, other: str) -> None:
    assert ref == other or names.server_name(repo, ref) != names.server_name(repo, other)
    assert repo == other or names.server_name(repo, ref) != names.server_name(other, ref)


@pytest.mark.parametrize(
    ("repo", "ref", "shown"),
    [
        ("https://git.example.org/o/My.Project.git", "v1.0", "my-project-v1-0-"),
        ("https://github.com/o/2024-course", "", "x-2024-course-"),
        ("https://github.com/o/intro-to-data-science-2024", "main", "intro-to-data-sc-main-"),
        ("https://github.com/o/intro-to-data-science-2024", SHA, "intro-to-data-0123456-"),
        ("https://github.com/o/Übung_Ñ", "feature/été-2024-x", "ubung-n-feature-et-"),
        ("https://github.com/o/课程", "分支", "server-"),
    ],
)
def test_a_server_name_tells_repository_and_ref(repo: str, ref: str, shown: str) -> None:
    assert names.server_name(repo, ref)[:-8] == shown


def test_a_former_server_name_is_as_it_was() -> None:
    assert names.former_server_name("https://github.com/o/2024-course", SHA) == "2024-course-0123456789abcdef01-" + names.digest(
        f"https://github.com/o/2024-course\0{SHA}", 8
    )


def test_build_ids_sort_as_builds_begin_though_the_clock_is_set_back() -> None:
    noon, made = datetime(2026, 1, 1, 12, tzinfo=UTC), BuildIds()
    ids = [made.new(noon), made.new(noon), made.new(noon - timedelta(hours=1)), made.new(noon + timedelta(hours=1))]
    assert ids == sorted(set(ids))
    after_a_restart = BuildIds()
    after_a_restart.note("not an id")
    after_a_restart.note(ids[-1])
    assert after_a_restart.new(noon) > ids[-1]


def test_build_ids_sort_by_time_and_differ() -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    ids = [names.new_build_id(begin + timedelta(milliseconds=number)) for number in range(100)]
    assert ids == sorted(ids)
    assert len({names.new_build_id(begin) for _ in range(100)}) == 100
    assert len(names.new_build_id(datetime(2500, 1, 1, tzinfo=UTC))) == len(ids[0])
    assert all(re.fullmatch(r"[0-9a-f]{19}", name) for name in ids)
