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
_NO_REF = re.compile(r"failed to fetch (?:branch or tag|branch, tag, or commit|tag|branch|commit) `(?P<ref>[^`\n]{1,200})`")
_GIT_FETCH = re.compile(r"git fetch [^\n]{0,200}'(?P<url>https?://[^'\n]{1,600})'")
_LIKE_SCP = re.compile(r"/git\+[A-Za-z0-9._-]{1,50}@(?P<host>[A-Za-z0-9.-]{1,200}):(?P<path>[^`\s@#]{1,300})")
_OTHER_NAME = re.compile(r"Package metadata name `(?P<real>[^`\n]{1,200})` does not match given name `(?P<given>[^`\n]{1,200})`")
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


def like_scp(tail: str) -> BuildFailed | None:
    """Return which requirement has the short form of an ssh address, which pip takes for a path as well."""
    match = _LIKE_SCP.search(tail)
    return match and BuildFailed(
        f"The address git@{match['host']}:{match['path']} of a requirement is no URL.",
        code="requirements_failed",
        hint=f"Write git+https://{match['host']}/{match['path']}; a build has no key for ssh.",
    )


def other_name(tail: str) -> BuildFailed | None:
    """Return which requirement has another name in its own files."""
    match = _OTHER_NAME.search(tail)
    return match and BuildFailed(
        f"The requirement {match['given']} is called {match['real']} where it comes from.",
        code="requirements_failed",
        hint=f"Write {match['real']} behind #egg= or in front of the @.",
    )


def ref_away(tail: str) -> BuildFailed | None:
    """Return which branch, tag or commit of a requirement is not in its repository."""
    ref, address = _NO_REF.search(tail), _FROM_ADDRESS.search(tail) or _GIT_FETCH.search(tail)
    if not (ref and address):
        return None
    what = f"the requirement {address['name']}" if "name" in address.groupdict() else "a requirement"
    return BuildFailed(
        f"The repository of {what} at {_host_of(address['url'])} has no branch, tag or commit {ref['ref']!r}, or cannot be read.",
        code="requirement_not_found",
        hint="Correct what stands behind the last @ of its address, or leave that out; builds have no login for it.",
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
    match = _FROM_ADDRESS.search(tail) or _GIT_FETCH.search(tail)
    if not (match and _NOT_FETCHED.search(tail)):
        return None
    what = f"The requirement {match['name']}" if "name" in match.groupdict() else "A requirement"
    hint = "Check its address; builds have no login and no key for it."
    return BuildFailed(f"{what} could not be fetched from {_host_of(match['url'])}.", code="requirement_not_found", hint=hint)


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
