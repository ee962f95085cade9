"""The front page, which makes links and badges; old links, badges, and what is the operator's on pages."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx
import pytest
from tornado import web

from binderhub_service import __version__
from binderhub_service.handlers.binder.artwork import artwork_routes, file_routes
from binderhub_service.handlers.binder.links import link_to
from binderhub_service.handlers.rendering import frame_context, make_jinja
from binderhub_service.models import Request
from binderhub_service.providers.git import GitProvider
from binderhub_service.providers.github import GitHubProvider
from binderhub_service.settings.pages import PageSettings
from tests.fake_hub import serving
from tests.handlers.test_pages import LAUNCH, LIST, PREFIX, SCRIPT, Page, Site, site

__all__ = ["site"]  # a fixture
IMAGES = Path(__file__).parents[2] / "binderhub_service" / "static" / "images"
CONFIG = re.compile(r"window\.pageConfig = (\{.*\});")
KEYS = ["baseUrl", "badgeBaseUrl", "logoUrl", "logoWidth", "repoProviders", "aboutMessage", "bannerHtml", "binderVersion"]


def front(**fields: str) -> str:
    return f"{PREFIX}?{urlencode(fields)}"


def texts(response: httpx.Response) -> list[str]:
    """Return the link and its badges, as a page shows them."""
    return [unescape(text) for text in re.findall(r"<pre[^>]*>(.*?)</pre>", response.text, re.DOTALL)]


# The form


async def test_the_front_page_asks_for_a_repository(site: Site) -> None:
    page = Page(await site.get(PREFIX))
    assert [found["value"] for found in page.all("option") if "data-label" in found] == ["gh", "git", "image"]
    assert {"provider", "repo", "ref", "kind", "path"} == {found["name"] for found in [*page.all("input"), *page.all("select")]}
    assert LIST in page.links
    assert not page.all("pre")


async def test_a_repository_becomes_a_link_and_three_badges(site: Site) -> None:
    response = await site.get(front(provider="gh", repo="o/r", ref="a/b", kind="file", path="x y.ipynb"))
    link, markdown, rst, html = texts(response)
    host = f"{site.client.base_url}".rstrip("/") + PREFIX
    assert link == f"{host}v2/gh/o/r/a/b?labpath=x%20y.ipynb"
    assert markdown == f"[![Binder]({host}badge_logo.svg)]({link})"
    assert rst.splitlines()[:2] == [f".. image:: {host}badge_logo.svg", f"   :target: {link}"]
    assert f'href="{link}"' in html
    assert link in Page(response).links


async def test_the_link_leads_to_what_was_asked_for(site: Site) -> None:
    for provider, repo, ref, kind, path in (
        ("gh", "https://github.com/o/r.git", "", "url", "/lab/tree/a b"),
        ("git", "https://git.example.org/g/ü r", "feature/#1", "file", "a(b)&c.ipynb"),
        ("gh", "https://git.example.org/g/r", "", "file", ""),
    ):
        response = await site.get(front(provider=provider, repo=repo.replace(" ", "%20"), ref=ref, kind=kind, path=path))
        link = urlsplit(texts(response)[0])
        launch = Page(await site.get(f"{link.path}?{link.query}"))
        [form] = launch.all("form", id="binder-launch")
        assert (form["data-ref"], form["data-path"]) == (ref, path)
        assert form["data-repo"].removeprefix("https://github.com/") == repo.replace(" ", "%20").removeprefix("https://github.com/").removesuffix(
            ".git"
        )


@pytest.mark.parametrize(
    "fields",
    [
        {"provider": "gh", "repo": "no repository"},
        {"provider": "nobody", "repo": "o/r"},
        {"provider": "gh", "repo": "o/r", "ref": "--upload-pack=id"},
        {"provider": "gh", "repo": "o/r", "path": "../../etc"},
        {"provider": "git", "repo": "https://alice:s3cret@git.example.org/o/r"},
        {"provider": SCRIPT, "repo": SCRIPT, "ref": SCRIPT, "path": SCRIPT, "kind": SCRIPT},
    ],
)
async def test_what_cannot_be_launched_is_said_beside_the_form(site: Site, fields: dict[str, str]) -> None:
    response = await site.get(front(**fields))
    page = Page(response)
    assert response.status_code == 400
    assert page.all("div", role="alert")
    assert page.all("form", id="binder-link")
    assert not page.all("pre")
    assert not page.all("img", src="x")


async def test_what_the_operator_bans_has_no_link(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GitHubProvider, "rules", SimpleNamespace(permits=lambda spec, raw="": False))
    for path in (front(provider="gh", repo="o/r"), LAUNCH):
        response = await site.get(path)
        assert response.status_code == 403
        assert "is not allowed to launch" in Page(response).text


def test_no_path_ends_the_markup_of_a_badge() -> None:
    link = link_to("https://h/", GitProvider(), Request("https://git.example.org/a(b)/r", "x'y"), "a\"b>c'.ipynb)")
    assert not set("()\"'<> ") & set(link.url)
    assert link.html.count('"') == 6


# What clients of BinderHub read


@pytest.mark.parametrize("path", [PREFIX, LAUNCH, f"{PREFIX}about"])
async def test_the_first_script_is_the_page_s_configuration(site: Site, path: str) -> None:
    text = (await site.get(path)).text
    first = re.search(r"<script[^>]*>(.*?)</script>", text, re.DOTALL)
    assert first
    assert text.index("<head>") < first.start() < text.index("</head>")
    match = CONFIG.fullmatch(first[1])
    assert match
    config: dict[str, Any] = json.loads(match[1])
    assert list(config) == sorted([*KEYS, *(["buildToken"] if path == LAUNCH else [])])
    assert (config["baseUrl"], config["logoWidth"], config["binderVersion"]) == (PREFIX, "320px", __version__)
    assert config["repoProviders"][0] == GitHubProvider().display().as_dict("gh")
    assert config["aboutMessage"] == "<b>Ours</b>"


async def test_a_shared_link_has_the_name_of_its_repository(site: Site) -> None:
    [title] = Page(await site.get(LAUNCH)).all("meta", property="og:title")
    assert title["content"] == "GitHub: o/r/main"
    [title] = Page(await site.get(PREFIX)).all("meta", property="og:title")
    assert title["content"] == "Servers from repositories"


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("", ""),
        ("/", ""),
        ("//", ""),
        ("/notebooks/index.ipynb", "?urlpath=%2Fnotebooks%2Findex.ipynb"),
        ("/a%20b/%C3%A9", "?urlpath=%2Fa%20b%2F%C3%A9"),
        ("/a%0D%0ASet-Cookie:x=y", "?urlpath=%2Fa%0D%0ASet-Cookie%3Ax%3Dy"),
    ],
)
async def test_old_links_lead_to_todays(site: Site, path: str, query: str) -> None:
    response = await site.get(f"{PREFIX}repo/o/r{path}")
    assert (response.status_code, response.headers["Location"]) == (302, f"{PREFIX}v2/gh/o/r/master{query}")


async def test_the_page_about_shows_the_operator_s_message(site: Site) -> None:
    response = await site.get(f"{PREFIX}about")
    assert "<b>Ours</b>" in response.text
    assert __version__ in Page(response).text


async def test_a_page_that_is_not_there_has_the_status_404(site: Site) -> None:
    for path in ("nothing", "favicon_fail.ico", "repo/o", "v2/nobody/o/r"):
        assert (await site.get(f"{PREFIX}{path}")).status_code == 404


# Pictures and files


async def test_badges_and_files_of_the_operator_are_everybody_s(tmp_path: Path) -> None:
    (tmp_path / "logo.svg").write_text("<svg/>")
    settings = PageSettings(extra_static_path=str(tmp_path), extra_static_url_prefix="/mine/")
    application = web.Application([*artwork_routes(PREFIX), *file_routes(PREFIX, settings)])
    async with serving(application) as url, httpx.AsyncClient(base_url=url) as client:
        for path, kind in {
            "badge.svg": "image/svg+xml",
            "badge_logo.svg": "image/svg+xml",
            "assets/images/badge.svg": "image/svg+xml",
            "logo_social.png": "image/png",
            "mine/logo.svg": "image/svg+xml",
        }.items():
            for method in ("GET", "HEAD"):
                response = await client.request(method, f"{PREFIX}{path}")
                assert (response.status_code, response.headers["Content-Type"]) == (200, kind)
        for path in ("badge.svgx", "assets/images/badge_logo.svg", "mine/nothing", "mine/..%2f..%2fetc%2fpasswd"):
            assert (await client.get(f"{PREFIX}{path}")).status_code in {403, 404}


def test_the_badges_say_what_they_do() -> None:
    for name in ("badge.svg", "badge_logo.svg"):
        assert 'role="img" aria-label="launch binder"' in (IMAGES / name).read_text()


# What is the operator's


def test_an_operator_has_a_banner_a_logo_and_a_place_for_more(tmp_path: Path) -> None:
    (tmp_path / "binder_head.html").write_text('<meta name="counted" content="yes">')
    settings = PageSettings(banner_html="<em>Closed</em>", logo_url="/mine/logo.svg")
    frame = {"static_url": lambda path, **_: path, "base_url": "/hub/", "service_prefix": PREFIX}
    text = make_jinja([str(tmp_path)]).get_template("about.html").render(**frame, **frame_context(settings, {}, ""))
    assert "<em>Closed</em>" in text
    assert 'src="/mine/logo.svg"' in text
    assert '<meta name="counted" content="yes">' in text
    plain = make_jinja().get_template("about.html").render(**frame, **frame_context(PageSettings(), {}, ""))
    assert "binder-banner" not in plain
    assert "/hub/logo" in plain


def test_an_address_in_a_link_is_quoted_once() -> None:
    provider = GitProvider()
    link = link_to("https://h/", provider, Request("https://git.example.org/caf%C3%A9/r"))
    assert link.url == f"https://h/v2/git/{quote('https://git.example.org/caf%C3%A9/r', safe='')}/HEAD"
    assert provider.request_from_spec(link.url.removeprefix("https://h/v2/git/")).repo == "https://git.example.org/caf%C3%A9/r"
