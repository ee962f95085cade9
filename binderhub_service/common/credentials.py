"""Tokens and passwords in addresses: found in every spelling, refused, and hidden from logs.

Each of these takes time in proportion to the text.
"""

from __future__ import annotations

import logging
import re
from urllib.parse import parse_qsl, unquote

from .redact import HIDDEN, has_known_token, redact
from .refusal import Refused

_DECODINGS = 3
_LONGEST_CHARACTERS = 16 * 1024
_SECRET_NAME = re.compile(r"(?i)token|password|passwd|secret|api[_-]?key|auth(?!ors?(?![a-z]))")
_KEYLESS = frozenset({"ssh", "git+ssh"})
_PROTOCOL = re.compile(r"[^A-Za-z+]")
_WORD = re.compile(r"[^\s\"'<>]+")
# Nothing of it can be a login or a query; most refs and addresses are like that.
_PLAIN = re.compile(r"(?:[A-Za-z]++://)?[A-Za-z0-9._/-]*+(?::[0-9]++[A-Za-z0-9._/-]*+)?")
_SPEC = re.compile(r"(?i)(?:https?|ssh|git|ftp)(?::|%(?:25)*3a)")


def has_credentials(text: str) -> bool:
    """Say whether an address, or a text that may hold one, carries a token or a password; percent-escaped ones, too."""
    if len(text) <= _LONGEST_CHARACTERS and _PLAIN.fullmatch(text) and "authorization" not in text.lower():
        return has_known_token(text)
    for _ in range(_DECODINGS):
        if _has_plain_credentials(text):
            return True
        decoded = unquote(text)
        if decoded == text:
            return False
        text = decoded
    return _has_plain_credentials(text)


def refuse_credentials(*texts: str) -> None:
    """Check that no text carries a credential.

    Raises:
        Refused: one does (``credentials_in_address``); nothing of it is repeated.
    """
    if any(has_credentials(text) for text in texts):
        raise Refused(
            "The address has a token or a password in it, which would be stored and shown.",
            "Take it out, revoke it if anybody may have seen it, and ask your administrator how private repositories are reached here.",
            code="credentials_in_address",
        )


def hide_in_line(line: str) -> str:
    """Return a line of a log in which every address of a request that carries a credential is cut where it may begin."""
    if "@" not in line and "%" not in line and "=" not in line:
        return redact(line)
    return _WORD.sub(lambda match: _hide_in_uri(match[0]), redact(line))


class HideCredentials(logging.Filter):
    """Keeps credentials in the addresses of requests out of what a logger writes."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, without credentials."""
        message = record.getMessage()
        hidden = hide_in_line(message)
        if hidden != message:
            record.msg, record.args = hidden, ()
        return True


def hide_in_logs(*loggers: str) -> None:
    """Have loggers, by name, hide credentials in what they write; more than once does no harm."""
    for logger in map(logging.getLogger, loggers):
        if not any(isinstance(known, HideCredentials) for known in logger.filters):
            logger.addFilter(HideCredentials())


def _has_plain_credentials(text: str) -> bool:
    if redact(text) != text[:_LONGEST_CHARACTERS] and len(text) <= _LONGEST_CHARACTERS:
        return True
    scheme, separator, rest = text.partition("://")
    if not separator:
        users = (segment.partition("@") for segment in text.split("/"))
        return any(at and ":" in user for user, at, _ in users)
    before, at, _ = rest.rpartition("@")
    if at and _is_login(scheme, before):
        return True
    asked = f"{rest.partition('#')[0].partition('?')[2]}&{rest.partition('#')[2]}"
    return any(_SECRET_NAME.search(name) and value for name, value in parse_qsl(asked))


def _is_login(scheme: str, before: str) -> bool:
    """Say whether what stands between ``://`` and the last ``@`` is a login; a password may have ``/``, ``?`` and ``#`` in it."""
    authority = re.split(r"[/?#\\]", before, maxsplit=1)[0]
    if authority == before:
        return ":" in before or _PROTOCOL.split(scheme)[-1].lower() not in _KEYLESS
    if "@" in authority:
        return ":" in authority or _PROTOCOL.split(scheme)[-1].lower() not in _KEYLESS
    name, colon, port = authority.partition(":")
    is_host = "." in name or name == "localhost" or authority.startswith("[")
    return bool(colon) and not (is_host and (port.isdigit() or authority.startswith("[")))


def _hide_in_uri(uri: str) -> str:
    path, question, query = uri.partition("?")
    if has_credentials(path) or ("://" in path and has_credentials(uri)):
        begin = _SPEC.search(path)
        return f"{path[: begin.start()] if begin else ''}{HIDDEN}"
    if question and (
        has_credentials(query) or any(has_credentials(part.partition("=")[2]) or "@" in part.partition("=")[0] for part in query.split("&"))
    ):
        return f"{path}?{HIDDEN}"
    return uri
