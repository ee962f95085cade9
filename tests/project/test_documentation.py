"""What the documentation points to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#+ (?P<text>.+)$", re.MULTILINE)
MAX_PICTURE_BYTES = 200_000


def targets(page: Path) -> list[str]:
    """Return the links of a page that lead to files of this repository."""
    found = [match["target"] for match in LINK.finditer(page.read_text(encoding="utf-8"))]
    return [target for target in found if "://" not in target]


def anchors(page: Path) -> set[str]:
    """Return the names by which the headings of a page can be linked to."""
    headings = [match["text"].lower() for match in HEADING.finditer(page.read_text(encoding="utf-8"))]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target in targets(page):
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.is_file(), target
        assert not anchor or anchor in anchors(linked), target


def test_the_way_from_nothing_to_a_running_hub_is_short_and_says_how_to_go_back() -> None:
    text = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    way = text.partition("## From nothing to a running hub\n")[2].partition("\n## ")[0]
    assert 300 < len(way.split()) <= 900
    for step in ("docker build", "helm dependency build", "helm upgrade --install", "binder build", "helm uninstall", "Install it\nagain"):
        assert step in way, step


def test_every_page_of_docs_is_in_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    listed = {(index.parent / target.partition("#")[0]).resolve() for target in targets(index)}
    assert {page for page in (ROOT / "docs").glob("*.md") if page != index} <= listed


@pytest.mark.parametrize("picture", sorted((ROOT / "docs" / "images").glob("*")), ids=lambda picture: picture.name)
def test_a_picture_is_small_and_shown_on_a_page(picture: Path) -> None:
    assert picture.stat().st_size < MAX_PICTURE_BYTES
    assert picture in {(page.parent / target).resolve() for page in PAGES for target in targets(page)}
