"""The log on a page, in a real browser: hostile lines stay text, a long log stays small, the end is followed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route

from tests.browser.conftest import chromium

STATIC = Path(__file__).parents[2] / "binderhub_service" / "static"
ORIGIN = "http://pages.test"
PAGE = f"""<!doctype html><meta charset=utf-8><link rel=stylesheet href={ORIGIN}/style.css><div id=log></div>
<script type=module>
  import {{ Log }} from "{ORIGIN}/log.js";
  window.log = new Log(document.getElementById("log"), {{ wholeLog: "/whole", limit: 50 }});
</script>"""
HOSTILE = "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>\x1b]8;;javascript:alert(1)\x1b\\link\x1b]8;;\x1b\\"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 375, "height": 600})
        page.route(f"{ORIGIN}/**", answer)
        yield page


@pytest.fixture(autouse=True)
def _fresh(page: Page) -> None:
    page.goto(f"{ORIGIN}/")
    page.wait_for_function("window.log")


def answer(route: Route) -> None:
    """Answer with the page or one of the static files."""
    file = STATIC / route.request.url.rpartition("/")[2]
    if file.is_file():
        route.fulfill(path=file)
    else:
        route.fulfill(body=PAGE, content_type="text/html")


def append(page: Page, *lines: str) -> None:
    """Append lines and wait for the frame that shows them."""
    page.evaluate(
        "(lines) => { lines.forEach((line) => log.append(line)); return new Promise((shown) => requestAnimationFrame(shown)); }", list(lines)
    )


def test_a_hostile_line_is_text(page: Page) -> None:
    append(page, HOSTILE)
    assert page.inner_text(".binder-line") == "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>link"
    assert page.locator(".binder-log img, .binder-log script, .binder-line a").count() == 0
    assert page.evaluate("window.pwned") is None


def test_colours_are_shown(page: Page) -> None:
    append(page, "\x1b[31mred\x1b[0m\x1b[38;2;1;2;3mrgb\x1b[48;5;208mon")
    classes = page.eval_on_selector_all(".binder-line span", "(spans) => spans.map((span) => span.className)")
    assert classes == ["binder-fg-1", "binder-fg-other", "binder-fg-other binder-bg-other"]
    assert page.eval_on_selector(".binder-fg-1", "(span) => getComputedStyle(span).color") == "rgb(179, 33, 27)"


def test_a_long_log_keeps_its_newest_lines_and_says_where_the_rest_is(page: Page) -> None:
    append(page, *(f"line {number}" for number in range(1, 131)))
    append(page, "line 131")
    lines = page.locator(".binder-line")
    assert lines.count() == 50
    assert lines.first.inner_text() == "line 82"
    assert lines.last.inner_text() == "line 131"
    assert page.locator(".binder-log-note a").get_attribute("href") == "/whole"
    assert page.locator(".binder-log-note").is_visible()


def test_a_short_log_needs_no_note(page: Page) -> None:
    append(page, "one", "", "three")
    assert page.locator(".binder-log-note").is_hidden()
    assert page.locator(".binder-line").nth(1).bounding_box()["height"] > 10  # type: ignore[index]  # it is there


def test_the_end_is_followed_until_somebody_scrolls_up(page: Page) -> None:
    rest = "(log) => log.scrollHeight - log.scrollTop - log.clientHeight"
    append(page, *("line" for _ in range(45)))
    assert page.eval_on_selector(".binder-log", rest) < 1
    page.eval_on_selector(".binder-log", "(log) => { log.scrollTop = 0; }")
    page.wait_for_timeout(100)
    append(page, "more")
    assert page.eval_on_selector(".binder-log", "(log) => log.scrollTop") == 0


def test_a_line_without_a_space_does_not_widen_the_page(page: Page) -> None:
    append(page, "x" * 5000)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
