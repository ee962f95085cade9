"""What an operator can change on pages without a template."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PageSettings:
    """What pages show.

    Attributes:
        about_message: HTML on the page ``about``.
        banner_html: HTML on top of every page.
        badge_base_url: where badges and shared links lead, with a slash at the end; empty for the address that a page is read at.
        logo_url: the logo; empty for the service's own.
        opengraph_title: the title of links to the front page where they are shared.
        launch_on_visit: whether a launch page of a public hub launches when a visitor opens it; None if that depends on what servers are.
        extra_static_path: a directory whose files everybody may read; empty for none.
        extra_static_url_prefix: the path below the service that they are served at, with slashes on both ends.
    """

    about_message: str = ""
    banner_html: str = ""
    badge_base_url: str = ""
    logo_url: str = ""
    opengraph_title: str = "Servers from repositories"
    launch_on_visit: bool | None = None
    extra_static_path: str = ""
    extra_static_url_prefix: str = "/extra_static/"
