"""What git may see and do, in the service and in a build."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

ALLOWED_PROTOCOLS = ("http", "https", "ssh", "git")
WEB_PROTOCOLS = ("http", "https")
_TRUST = ("GIT_SSL_CAINFO", "GIT_SSL_CAPATH")


def login_options(logins: Path | None) -> tuple[str, ...]:
    """Return options with which git knows the logins in a file of the format of its credential store; None for no file.

    The store itself would take a login out of its file as soon as a server refuses it.
    """
    if logins is None:
        return ()
    only_get = f'!only_get() {{ test "$1" = get && git credential-store --file={shlex.quote(str(logins))} get; }}; only_get'
    return ("-c", f"credential.helper={only_get}")


def git_environment(environment: Mapping[str, str], *, by_relay: bool = False) -> dict[str, str]:
    """Return an environment for git: never a question, only allowed protocols, English messages, no secrets of the service.

    Args:
        by_relay: whether git takes the way of `clients.relay`: http and https only, by no other proxy, and without git-lfs, which knows other ways.
    """
    kept = {name: value for name, value in environment.items() if name in _TRUST or not name.startswith(("JUPYTERHUB_", "BINDERHUB_", "GIT_"))}
    if by_relay:
        kept = {name: value for name, value in kept.items() if not name.lower().endswith("_proxy")}
    return with_gits_trust(kept) | {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oConnectTimeout=15",
        "GIT_ALLOW_PROTOCOL": ":".join(WEB_PROTOCOLS if by_relay else ALLOWED_PROTOCOLS),
        "LC_ALL": "C.UTF-8",
        **({"GIT_LFS_SKIP_SMUDGE": "1"} if by_relay else {}),
    }


def with_gits_trust(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which git trusts what ``SSL_CERT_FILE`` names, as others do; unless git's own variable says otherwise."""
    trusted = {"GIT_SSL_CAINFO": environment["SSL_CERT_FILE"]} if environment.get("SSL_CERT_FILE") else {}
    return {**trusted, **environment}
