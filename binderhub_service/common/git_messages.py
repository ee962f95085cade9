"""What git's messages mean. They may hold the beginning of whatever a server answered, so people are told what is known here and nothing else."""

from __future__ import annotations

import re

_NOT_THERE = re.compile(
    r"not found|does not exist|not appear to be a git repository|could not read (?:Username|Password)|Authentication failed"
    r"|Permission denied|error: 40[134]|access denied|not exported",
    re.IGNORECASE,
)
_REASON = re.compile(
    r"error: [1-5]\d\d\b|Could not resolve host|Connection refused|Connection reset|Connection timed out|Empty reply"
    r"|gnutls_handshake\(\) failed|SSL_connect|unexpected disconnect|early EOF|Failed to connect|No route to host|Network is unreachable"
    r"|hung up unexpectedly|Operation too slow|not our ref|does not allow request for unadvertised object"
    r"|could not read (?:Username|Password)|Authentication failed",
    re.IGNORECASE,
)
_PASSING = re.compile(
    r"error: 5\d\d|error: 429|Connection reset|Connection refused|Connection timed out|early EOF|unexpected disconnect|Could not resolve host"
    r"|hung up unexpectedly|Operation too slow|Empty reply",
    re.IGNORECASE,
)
_NO_COMMIT = re.compile(r"reference is not a tree|unable to read tree", re.IGNORECASE)
_ALL_OR_NOTHING = re.compile(r"does not support (?:shallow|--depth)|expected shallow/unshallow", re.IGNORECASE)
# Of git with GnuTLS and with OpenSSL.
_CERTIFICATE = re.compile(
    r"server certificate verification failed|SSL certificate problem|certificate subject name|error setting certificate"
    r"|error reading ca cert file|Problem with the SSL CA cert",
    re.IGNORECASE,
)
TRUST_HINT = "An administrator names the file of the certificates that are trusted here in SSL_CERT_FILE, in the hub's environment."
_NO_SPACE = re.compile(r"No space left on device", re.IGNORECASE)
_AMOUNT = r"[\d.]+ [KMGT]?i?B(?:ytes)?"
_STEP = r"(?:Receiving objects|Unpacking objects|Resolving deltas|Updating files): +\d{1,3}% \(\d+/\d+\)"
_PROGRESS = re.compile(rf"{_STEP}(?:, {_AMOUNT}(?: \| {_AMOUNT}/s)?)?(?:, done\.)?", re.IGNORECASE)


def says_not_there(messages: str) -> bool:
    """Say whether a repository is not there, or not for everybody."""
    return bool(_NOT_THERE.search(messages))


def may_pass(messages: str) -> bool:
    """Say whether the reason for a failure may be gone in a moment."""
    return bool(_PASSING.search(messages))


def gives_no_part(messages: str) -> bool:
    """Say whether a server gives whole histories alone: one of plain files, or a server without shallow clones."""
    return bool(_ALL_OR_NOTHING.search(messages))


def says_not_trusted(messages: str) -> bool:
    """Say whether a server's certificate is of an unknown authority, of another host, or too old; or those that are trusted cannot be read."""
    return bool(_CERTIFICATE.search(messages))


def says_disk_full(messages: str) -> bool:
    """Say whether git found no space on its disk."""
    return bool(_NO_SPACE.search(messages))


def reason_in(messages: str) -> str:
    """Return why git failed, in git's words for what is known."""
    if says_not_trusted(messages):
        return "its certificate is not trusted here"
    if gives_no_part(messages):
        return "it gives whole histories alone"
    if _NO_COMMIT.search(messages):
        return "the commit is not in what the server gave"
    known = _REASON.search(messages)
    return known[0] if known else "it did not answer as a Git server does"


def progress_in(line: str) -> str:
    """Return what a line says about progress, in its last version; empty if it says something else."""
    last = line.rstrip("\r ").rpartition("\r")[2].rstrip()
    return last if _PROGRESS.fullmatch(last) else ""
