"""Credentials out of URLs and log lines; pure."""

from __future__ import annotations

import re

_URL_CREDENTIALS = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)(?P<user>[^\s/@:'\"]*)(?::(?P<password>[^\s/@'\"]*))?@")
_KNOWN_TOKENS = re.compile(
    r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}|xox[bp]-[A-Za-z0-9-]{10,}|AKIA[0-9A-Z]{16})"
)
_HEADER = re.compile(r"(?i)\b(authorization\s*[:=]\s*)(?:(basic|bearer|token)\s+)?\S+")
_IN_QUERY = re.compile(r"(?i)(?P<name>[?&][\w-]*(?:token|secret|password|passwd|api_?key)=)[^\s&#'\"]+")
# What an address as a whole tells, where a piece of a log line does not: a login in front of the host, with or without a scheme.
_LOGIN = re.compile(r"(?i)^(?:https?://[^/]*@|(?:[a-z+]+://)?[^\s/@:]*:[^\s/@]*@)")
HIDDEN = "***"


def redact(text: str) -> str:
    """Return `text` with everything that looks like a credential replaced by ``***``.

    Replaced are the user part of URLs (``https://TOKEN@host``, ``https://user:PASSWORD@host``; ``ssh://git@host`` keeps
    its user), tokens and passwords in their queries, the token formats of GitHub, GitLab, Slack and AWS, and the value of
    Authorization headers.
    """
    text = _URL_CREDENTIALS.sub(_hide_url_credentials, text)
    text = _IN_QUERY.sub(lambda match: match["name"] + HIDDEN, text)
    text = _HEADER.sub(lambda match: match[1] + HIDDEN, text)
    return _KNOWN_TOKENS.sub(HIDDEN, text)


def has_credentials(url: str) -> bool:
    """Say whether a repository's address carries a token or a password, also one without a scheme (``user:password@host``)."""
    return redact(url) != url or _LOGIN.match(url) is not None


def _hide_url_credentials(match: re.Match[str]) -> str:
    is_ssh_user = match["password"] is None and match["scheme"].lower().startswith(("ssh", "git+ssh"))
    return match[0] if is_ssh_user else f"{match['scheme']}{HIDDEN}@"
