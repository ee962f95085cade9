"""What pages show, what a request may take, and which APIs of older services there are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

from traitlets import Bool, Enum, Float, Integer, TraitError, Unicode, default, validate
from traitlets import Dict as DictTrait
from traitlets import List as ListTrait
from traitlets.config import Configurable

from ..common.forwarded import Network
from ..process.receiving import ServerLimits
from .legacy import API_NAMES, LegacySettings
from .pages import PageSettings


class Pages(Configurable):
    """What pages show; more can be changed by templates in `BinderService.template_paths`."""

    about_message = Unicode(
        help="""HTML that the page ``about`` shows.

        It is shown as it is. Default: none. Example: ``"<p>Run by the library. <a href='mailto:help@example.org'>Write to us.</a></p>"``.
        """,
    ).tag(config=True)
    banner_html = Unicode(
        help="""HTML on top of every page.

        It is shown as it is. Default: none. Example: ``"Closed on Monday from 8 to 9."``.
        """,
    ).tag(config=True)
    badge_base_url = Unicode(
        help="""Where badges and shared links lead.

        For a service that has several addresses. Default: the address that the page is read at. Example: ``https://binder.example.org/``.
        """,
    ).tag(config=True)
    logo_url = Unicode(
        help="""The address of the logo.

        It takes the place of the hub's on the service's pages. Default: the hub's logo. Example: ``/services/binder/extra_static/logo.svg``.
        """,
    ).tag(config=True)
    opengraph_title = Unicode(
        "Servers from repositories",
        help="""The title of links to the service where they are shared; links to a repository have its name.

        Default: ``Servers from repositories``.
        """,
    ).tag(config=True)
    launch_on_visit = Bool(
        None,
        allow_none=True,
        help="""Whether a launch page of a public hub launches when a visitor opens it, as BinderHub's does, or only after a click on its button.

        A person has to have opened it, by a click or by its address; what pages of other sites load or frame launches nothing. Default: where servers
        are containers or pods; in embedded mode, a link would run code as the hub's own user. Example: ``False``.
        """,
    ).tag(config=True)
    extra_static_path = Unicode(
        help="""A directory whose files are served below `extra_static_url_prefix`.

        Everybody may read them, without a login. Default: none. Example: ``/srv/binder/static``.
        """,
    ).tag(config=True)
    extra_static_url_prefix = Unicode(
        "/extra_static/",
        help="""The path below the service that the files of `extra_static_path` are served at.

        Default: ``/extra_static/``.
        """,
    ).tag(config=True)

    def page_settings(self) -> PageSettings:
        """Return the settings as `handlers` take them."""
        return PageSettings(**{name: getattr(self, name) for name in PageSettings.__dataclass_fields__})


class Server(Configurable):
    """What a request may take of the service before it is known whose it is."""

    body_bytes = Integer(
        64 * 1024,
        min=1024,
        help="""How large the body of a request may be.

        A larger one is answered with 413; nothing of it is kept. In bytes. Default: 65,536. Example: ``256 * 1024``.
        """,
    ).tag(config=True)
    body_seconds = Float(
        60,
        min=1,
        help="""How long the body of a request may take to arrive.

        Then the connection is closed. In seconds. Default: 60. Example: ``10``.
        """,
    ).tag(config=True)
    header_bytes = Integer(
        64 * 1024,
        min=4096,
        help="""How large the headers of a request may be together.

        The connection is closed when there is more. In bytes. Default: 65,536. Example: ``16 * 1024``.
        """,
    ).tag(config=True)
    idle_seconds = Float(
        120,
        min=1,
        help="""How long a connection may wait for its next request, or for the end of a request's headers.

        Then it is closed. In seconds. Default: 120. Example: ``30``.
        """,
    ).tag(config=True)

    trusted_proxies = ListTrait(
        Unicode(),
        help="""Networks of the proxies in front of the hub's own, such as an ingress.

        Their word about a client's address is believed; without them, everybody behind such a proxy has the proxy's address, for bounds and
        events. The hub's own proxy needs no entry, and nobody else is believed. Default: none. Example: ``["10.0.0.0/8"]``.
        """,
    ).tag(config=True)

    ban_networks = DictTrait(
        key_trait=Unicode(),
        value_trait=Unicode(),
        help="""Networks whose requests are refused with 403, each with a label that the refusal names.

        Only ``health`` and ``versions`` answer them, for probes, and files such as badges. A client's address is what the hub's proxy saw,
        or that `trusted_proxies` tell. Default: none. Example: ``{"192.0.2.0/24": "a crawler"}``.
        """,
    ).tag(config=True)

    hosts = ListTrait(
        Unicode(),
        help="""Names of hosts under which the service starts and changes something, besides addresses; under other names that is refused with 403.

        On a hub that lets everybody in, pages of a foreign site whose name is made to lead to this machine (DNS rebinding) could start servers
        otherwise. Where a name of the hub is missing here, people who come by it can only look. Default: every name; ``localhost`` where
        ``make run PUBLIC=1`` runs. Example: ``["binder.example.org"]``.
        """,
    ).tag(config=True)

    @validate("trusted_proxies", "ban_networks")
    def _check_networks(self, proposal: Any) -> Any:
        for network in proposal["value"]:
            try:
                ip_network(network)
            except ValueError as error:
                raise TraitError(f"Server.{proposal['trait'].name}: {error}") from error
        return proposal["value"]

    def banned(self) -> Mapping[Network, str]:
        """Return the networks that are refused, with their labels."""
        return {ip_network(network): label for network, label in self.ban_networks.items()}

    def names(self) -> frozenset[str]:
        """Return `hosts` in small letters."""
        return frozenset(name.lower() for name in self.hosts)

    def limits(self) -> ServerLimits:
        """Return the settings as `server` takes them."""
        trusted = tuple(map(ip_network, self.trusted_proxies))
        return ServerLimits(self.body_bytes, self.body_seconds, self.header_bytes, self.idle_seconds, trusted)


class LegacyApis(Configurable):
    """APIs of older services, for clients that exist; below the service, each at a path of its own."""

    binder_build = Bool(
        False,
        help="""Whether binder-build's API is served, at ``binder-build/`` below the service.

        As in the original, the state of one build and single templates can be read without a key. Default: false.
        """,
    ).tag(config=True)
    registry = Bool(
        False,
        help="""Whether binder-registry's API is served, at ``registry/`` below the service.

        As in the original, templates can be read without a key, and be changed with any. Default: false.
        """,
    ).tag(config=True)
    boatyard = Bool(
        False,
        help="""Whether boatyard's API is served, at ``boatyard/`` below the service.

        It builds from Dockerfiles and archives and pushes with the login that a request brings; in embedded mode, builds are answered with 501.
        Default: false.
        """,
    ).tag(config=True)
    boatyard_open = Bool(
        False,
        help="""Whether boatyard's API wants no key, as the original.

        Everybody who reaches the hub may then build images with its engine, that is, run code in it, and push them by any name with logins of their
        own; who knows a job's id reads its log. Default: false, and then hub tokens and `api_key` are keys.
        """,
    ).tag(config=True)
    api_key = Unicode(
        help="""A key for clients that know nothing of the hub's tokens; it may ask for builds, read everybody's and change templates.

        Hub API tokens are keys as well, with the scopes of the service's own API. Default: the environment's ``BINDER_API_KEY``, or none.
        """,
    ).tag(config=True)

    ports = DictTrait(
        key_trait=Enum(API_NAMES),
        value_trait=Integer(min=1, max=65535),
        help="""Ports on which single APIs are served alone, for clients that cannot have a path in their base URL.

        By API, a port, at the address that the service listens on, by plain http; neither the hub nor its proxy is in front of it.
        An API has its port whether it is switched on at its path or not. Default: none. Example: ``{"binder-build": 8082, "registry": 8083}``.
        """,
    ).tag(config=True)

    @default("api_key")
    def _api_key_default(self) -> str:
        return os.environ.get("BINDER_API_KEY", "")

    def legacy_settings(self) -> LegacySettings:
        """Return the settings as `handlers` take them."""
        return LegacySettings(
            binder_build=self.binder_build,
            registry=self.registry,
            boatyard=self.boatyard,
            boatyard_open=self.boatyard_open,
            api_key=self.api_key,
            ports=dict(self.ports),
        )
