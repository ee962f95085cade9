"""What git may see and do, whoever runs it."""

from __future__ import annotations

from collections.abc import Mapping

ALLOWED_PROTOCOLS = ("http", "https", "ssh", "git")


def git_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for git: never a question, only allowed protocols, English messages, no secrets of the service."""
    kept = {name: value for name, value in environment.items() if not name.startswith(("JUPYTERHUB_", "BINDERHUB_", "GIT_"))}
    return kept | {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oConnectTimeout=15",
        "GIT_ALLOW_PROTOCOL": ":".join(ALLOWED_PROTOCOLS),
        "LC_ALL": "C.UTF-8",
    }
