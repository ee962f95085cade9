"""Clients of other packages that leave sockets open: closed here, so that an open socket in a test is always ours."""

from __future__ import annotations

import contextlib
import functools
import os
import socket
from collections.abc import Callable
from typing import Any


async def close_hub_client() -> None:
    """Close the client that JupyterHub (from 6.0 on, httpclient.py) keeps for this loop and never closes; a test's loop ends with the test."""
    with contextlib.suppress(ImportError):  # JupyterHub 5 has none
        from jupyterhub.httpclient import JupyterHubHTTPClient  # only where there is one

        if JupyterHubHTTPClient.initialized():
            await JupyterHubHTTPClient.loop_instance().close()


def connect_or_close(self: Any) -> None:
    """Connect as docker 7.1 does (transport/unixconn.py), and close the socket where no engine answers, which that forgets."""
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    opened.settimeout(self.timeout)
    try:
        opened.connect(self.unix_socket)
    except OSError:
        opened.close()
        raise
    self.sock = opened


def read_once(create: Callable[..., Any]) -> Callable[..., Any]:
    """Return httpx's function that reads whom a client trusts (_config.py), but reads each place once, and not for each of thousands of clients.

    It takes 30 ms of a processor, also for an address without TLS.
    """
    kept = functools.cache(lambda _environment, arguments, named: create(*arguments, **dict(named)))

    def trusted(*arguments: Any, **named: Any) -> Any:
        places = tuple(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))
        return kept(places, arguments, tuple(sorted(named.items())))

    return trusted
