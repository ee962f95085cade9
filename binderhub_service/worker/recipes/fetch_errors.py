"""What uv says of what it could not fetch, as sentences that name where from; pure.

Every function reads the end of what uv said, without colours, and returns None where that is not what it knows.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from ...common.git_messages import TRUST_HINT
from ...errors import BuildFailed

_LOGIN = re.compile(r"An index URL \((?P<url>[^)\s]+)\) could not be queried due to a lack of valid authentication")
_NO_KEY = re.compile(r"git fetch [^\n]{0,200}'(?P<url>ssh://[^/'\n]{1,300}/(?P<path>[^'\n]{1,300}))'")
_REMOTE_FILE = re.compile(r"accessing remote requirements file: (?P<url>\S{1,2000})")
_OUTSIDE_FAILED = re.compile(r"(?:Failed to fetch|error sending request|dns error|tcp connect error|connection reset|timed out)", re.IGNORECASE)
_NOT_TRUSTED = re.compile(r"invalid peer certificate|certificate verify failed", re.IGNORECASE)
_FROM_ADDRESS = re.compile(r"Failed to download(?: and build)? `(?P<name>[A-Za-z0-9._-]{1,200})(?:\[[^\]`\n]{0,200}\])? @ (?P<url>[^`\n]{1,2000})`")
_NOT_FETCHED = re.compile(r"Failed to fetch|Git operation failed", re.IGNORECASE)


def login_missing(tail: str) -> BuildFailed | None:
    """Return which package index wants a login."""
    match = _LOGIN.search(tail)
    return match and BuildFailed(
        f"The package index at {_host_of(match['url'])} wants a login, which this hub does not have.",
        code="package_index_refused",
        hint="Use an index that is open to all, or ask an administrator for the hub to have a login there.",
    )


def no_key(tail: str) -> BuildFailed | None:
    """Return which requirement is to be fetched by ssh."""
    match = _NO_KEY.search(tail)
    return match and BuildFailed(
        f"The requirement {match['path']} at {_host_of(match['url'])} could not be fetched by ssh: a build has no key for it.",
        code="requirements_failed",
        hint="Write git+https:// and the same host and path.",
    )


def remote_file_away(tail: str) -> BuildFailed | None:
    """Return where a file of requirements was not there."""
    match = _REMOTE_FILE.search(tail)
    return match and BuildFailed(
        f"The requirements that are at {_host_of(match['url'])} could not be fetched.",
        code="requirement_not_found",
        hint="Check the address behind -r or -c, or try again in a moment.",
    )


def address_away(tail: str) -> BuildFailed | None:
    """Return which requirement was not at its address."""
    match = _FROM_ADDRESS.search(tail)
    if not (match and _NOT_FETCHED.search(tail)):
        return None
    hint = "Check its address; builds have no login and no key for it."
    return BuildFailed(
        f"The requirement {match['name']} could not be fetched from {_host_of(match['url'])}.", code="requirement_not_found", hint=hint
    )


def index_away(tail: str) -> BuildFailed | None:
    """Return that the package index was not there, or is not trusted."""
    if not _OUTSIDE_FAILED.search(tail):
        return None
    sentence, hint = "The package index could not be reached.", "Try again in a moment."
    if _NOT_TRUSTED.search(tail):
        sentence = "The package index could not be reached: its certificate is not trusted here."
        hint = f"{TRUST_HINT} With UV_SYSTEM_CERTS=1 uv trusts whom the machine trusts."
    return BuildFailed(sentence, code="package_index_unavailable", hint=hint)


def _host_of(url: str) -> str:
    """Return the host of a requirement's address, and nothing of a login in it."""
    try:
        return urlsplit(url.removeprefix("git+")).hostname or "its address"
    except ValueError:
        return "its address"
