"""Credentials out of URLs and log lines; pure, and quick whatever the text is.

Every expression here takes time in proportion to the text, and no text is looked at beyond `MAX_CHARACTERS`.
"""

from __future__ import annotations

import re
from functools import partial

HIDDEN = "***"
MAX_CHARACTERS = 16 * 1024
"""How much of a text is kept; what is behind it is left out, and the text says so."""

_SCHEME_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-"
_SSH = re.compile(r"(?i)(?<![a-z0-9+.-])(?:git\+)?ssh[a-z0-9+.-]{0,8}\Z")
_LONGEST_SSH = len("xgit+ssh") + 8
_HEADER = re.compile(r"(?i)\b(authorization\s*+[:=]\s*+)(?:(?:basic|bearer|token)\s++)?\S+")
_IN_QUERY = re.compile(r"(?i)(?P<name>[?&][\w-]*(?:token|secret|password|passwd|api_?key)=)[^\s&#'\"]+")


def _url_credentials(end: str) -> re.Pattern[str]:
    """Return what stands between a URL's ``://`` and its host; the scheme is looked up backwards, so that every character is read once."""
    return re.compile(rf"://(?P<user>[^\s/@:'\"]*+)(?P<password>:[^\s/@'\"]*+)?(?:@|{end})")


def _known_tokens(end: str) -> re.Pattern[str]:
    """Return the tokens that can be told by their beginnings."""
    kinds = [
        (r"gh[pousr]_", "[A-Za-z0-9]", 20),
        (r"github_pat_", "[A-Za-z0-9_]", 20),
        (r"glpat-", "[A-Za-z0-9_-]", 16),
        (r"xox[bp]-", "[A-Za-z0-9-]", 10),
    ]
    any_of = "|".join(rf"{begin}(?:{character}{{{least},}}|{character}*+{end})" for begin, character, least in kinds)
    return re.compile(rf"\b(?:{any_of}|AKIA(?:[0-9A-Z]{{16}}|[0-9A-Z]*+{end}))")


_NOWHERE = r"(?!)"
_WHOLE = _url_credentials(_NOWHERE), _known_tokens(_NOWHERE)
_CUT = _url_credentials(r"\Z"), _known_tokens(r"\Z")  # what was cut may go on, so a beginning of a credential is one


def redact(text: str) -> str:
    """Return `text` with everything that looks like a credential replaced by ``***``, at most `MAX_CHARACTERS` of it.

    Replaced are the user part of URLs (``https://TOKEN@host``, ``https://user:PASSWORD@host``; ``ssh://git@host`` keeps
    its user), tokens and passwords in their queries, the token formats of GitHub, GitLab, Slack and AWS, and the value of
    Authorization headers. A credential in which a long text is cut is replaced, too.
    """
    left_out = len(text) - MAX_CHARACTERS
    if left_out <= 0:
        return _redact(text, *_WHOLE)
    return f"{_redact(text[:MAX_CHARACTERS], *_CUT)} ... ({left_out} more characters are left out)"


def has_known_token(text: str) -> bool:
    """Say whether a text holds a token that can be told by its beginning."""
    return _WHOLE[1].search(text) is not None


def _redact(text: str, url_credentials: re.Pattern[str], known_tokens: re.Pattern[str]) -> str:
    text = url_credentials.sub(partial(_hide_url_credentials, text), text)
    text = _IN_QUERY.sub(lambda match: match["name"] + HIDDEN, text)
    text = _HEADER.sub(lambda match: match[1] + HIDDEN, text)
    return known_tokens.sub(HIDDEN, text)


def _hide_url_credentials(text: str, match: re.Match[str]) -> str:
    begin = match.start()
    has_scheme = begin > 0 and text[begin - 1] in _SCHEME_CHARACTERS
    is_ssh_user = match["password"] is None and _SSH.search(text[max(0, begin - _LONGEST_SSH) : begin]) is not None
    if not has_scheme or is_ssh_user:
        return match[0]
    return f"://{HIDDEN}{'@' if match[0].endswith('@') else ''}"
