"""Pages in the hub's own frame: its ``page.html``, found where jupyterhub keeps its data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader
from jupyterhub._data import DATA_FILES_PATH
from markupsafe import Markup

from ..models import Build, iso
from ..settings.pages import PageSettings

_HUB_TEMPLATES = Path(DATA_FILES_PATH) / "templates"
_OWN_TEMPLATES = Path(__file__).parent.parent / "templates"
_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60))


@dataclass(frozen=True)
class PageUser:
    """The signed-in person, as the hub's ``page.html`` wants them."""

    name: str
    admin: bool = False

    @property
    def json_escaped_name(self) -> str:
        """The name for use inside a quoted string of an inline script."""
        return json.dumps(self.name)[1:-1].replace("<", "\\u003c")


def make_jinja(template_paths: Sequence[str] = ()) -> Environment:
    """Make what renders the pages.

    Args:
        template_paths: an operator's directories with templates that win over the service's and the hub's own; as in
            JupyterHub, such a ``page.html`` can extend ``templates/page.html``, the hub's.
    """
    loader = ChoiceLoader(
        [
            FileSystemLoader([*template_paths, _OWN_TEMPLATES]),
            PrefixLoader({"templates": FileSystemLoader(_HUB_TEMPLATES)}),
            FileSystemLoader(_HUB_TEMPLATES),
        ]
    )
    jinja = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    jinja.filters.update(ago=ago, iso=iso, utc=utc, took=took, web_address=web_address)
    return jinja


def hub_context(user: Mapping[str, Any] | None, hub_prefix: str, prefix: str, xsrf_token: str) -> dict[str, Any]:
    """Return the variables that the hub's ``page.html`` needs, and the service's own beside them.

    In ``page.html``, `base_url` is where the hub is and `prefix` what it shares with its users' servers.
    """
    person = user if user and user.get("kind", "user") == "user" else None
    return {
        "base_url": hub_prefix,
        "prefix": hub_prefix.removesuffix("hub/"),
        "static_url": lambda path, **_: f"{urlsplit(hub_prefix).path}static/{path}",
        "login_url": f"{hub_prefix}login",
        "logout_url": f"{hub_prefix}logout",
        "user": person and PageUser(person["name"], bool(person.get("admin"))),
        "parsed_scopes": {"admin-ui": {}} if person and person.get("admin") else {},
        "services": [{"name": prefix.rstrip("/").rpartition("/")[2], "href": prefix}],
        "no_spawner_check": True,
        "xsrf_token": xsrf_token,
        "service_prefix": prefix,
    }


def frame_context(pages: PageSettings, config: Mapping[str, Any], announcement: str) -> dict[str, Any]:
    """Return the variables of what is the operator's in the frame of every page; their HTML is theirs, and shown as it is.

    Args:
        announcement: what administrators announce, as text.
    """
    return {
        "page_config": config,
        "binder_announcement": announcement,
        "banner": Markup(pages.banner_html),  # noqa: S704
        "logo": pages.logo_url,
        "opengraph_title": pages.opengraph_title,
    }


def ago(time: datetime) -> str:
    """Say how long ago a time was."""
    seconds = (datetime.now(UTC) - time).total_seconds()
    for unit, length_seconds in _UNITS:
        count = int(seconds // length_seconds)
        if count >= 1:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def utc(time: datetime) -> str:
    """Write a time for people, in UTC."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def took(build: Build) -> str:
    """Say how long a build took, or takes so far; empty before it has started."""
    if build.started is None:
        return ""
    seconds = max(0, int(((build.finished or datetime.now(UTC)) - build.started).total_seconds()))
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def web_address(text: str) -> str:
    """Return `text` if a link may lead there: only http and https, else empty."""
    try:
        context = urlsplit(text)
    except ValueError:
        return ""
    return text if context.scheme in {"http", "https"} and context.netloc else ""
