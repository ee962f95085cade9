"""What may be the address of a repository, and the one form that equal addresses share."""

from __future__ import annotations

import re
import string
from urllib.parse import SplitResult, urlsplit

from .credentials import refuse_credentials
from .git_environment import ALLOWED_PROTOCOLS
from .refusal import CONTROL, Refused, is_text

MAX_ADDRESS_CHARACTERS = 2048
SCP = re.compile(r"^(?P<user>[A-Za-z0-9._-]+)@(?P<host>[A-Za-z0-9.-]+):(?!//|:)(?P<path>[^\s]+)$")
_UNRESERVED = frozenset(string.ascii_letters + string.digits + "-._~")
_USUAL_PORTS = {"http": "80", "https": "443", "ssh": "22", "git": "9418"}


def check_text(repo: str) -> str:
    """Return what names a repository, an address or a provider's own short form, without blanks around it.

    Raises:
        Refused: it is empty, too long, no plain text (``unsupported_address``), or holds a credential (``credentials_in_address``).
    """
    text = repo.strip()
    if not text:
        raise _unsupported("Name a repository.", "Paste its address, e.g. https://github.com/owner/name.")
    if len(text) > MAX_ADDRESS_CHARACTERS:
        raise _unsupported(f"The repository's address is longer than {MAX_ADDRESS_CHARACTERS} characters.")
    if not is_text(text) or CONTROL.search(text):
        raise _unsupported("The repository's address has characters in it that no address has.", "Copy it from the address bar.")
    refuse_credentials(text)
    if text.startswith("-") or re.search(r"\s", text):
        raise _unsupported("A repository's address neither begins with a dash nor has spaces in it.", "Copy it from the address bar.")
    return text


def checked_address(repo: str) -> str:
    """Return the canonical form of a pasted address.

    Raises:
        Refused: as `check_text`, or it is of a protocol that is not allowed, names no repository, or its path leads up.
    """
    text = check_text(repo)
    shorthand = SCP.match(text) if "://" not in text else None
    if shorthand:
        text = f"ssh://{shorthand['user']}@{shorthand['host']}/{shorthand['path'].lstrip('/')}"
    parts = split(text)
    if parts is None or parts.scheme.lower() not in ALLOWED_PROTOCOLS or not parts.hostname or parts.hostname.startswith("-"):
        protocols = ", ".join(ALLOWED_PROTOCOLS)
        raise _unsupported("This is not a repository's address.", f"Use one of the protocols {protocols}, as in https://github.com/owner/repository.")
    if not parts.path.strip("/"):
        raise _unsupported("The address names a site, but no repository on it.", "Open the repository's page and copy its address.")
    return _normal(parts)


def is_address(repo: str) -> bool:
    """Say whether a pasted text is an address that git can ask."""
    text = repo.strip()
    parts = split(text)
    return bool(SCP.match(text)) or (parts is not None and parts.scheme.lower() in ALLOWED_PROTOCOLS)


def split(text: str) -> SplitResult | None:
    """Return an address's parts; None if it has no such form."""
    try:
        parts = urlsplit(text)
        _ = (parts.hostname, parts.port)  # looked at only now
    except ValueError:
        return None
    return parts


def _normal(parts: SplitResult) -> str:
    """Return the form that equal addresses share (RFC 3986, section 6.2.2): what an operator bans has no other spelling."""
    scheme = parts.scheme.lower()
    user, at, place = parts.netloc.rpartition("@")
    host, colon, port = place.rpartition(":") if re.search(r":\d*$", place) else (place, "", "")
    if port == _USUAL_PORTS.get(scheme, ""):
        colon = port = ""
    path = re.sub(r"%([0-9A-Fa-f]{2})", _unescaped, parts.path)
    if scheme in {"http", "https"}:
        path = re.sub(r"//+", "/", path)
    if {".", ".."} & set(path.split("/")):
        raise _unsupported("The path in the address leads up.", "Give the address without . and .. in it.")
    rest = (f"?{parts.query}" if parts.query else "") + (f"#{parts.fragment}" if parts.fragment else "")
    return f"{scheme}://{user}{at}{host.lower().rstrip('.')}{colon}{port}{path}{rest}".rstrip("/")


def _unescaped(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else match[0].upper()


def _unsupported(message: str, hint: str = "") -> Refused:
    return Refused(message, hint, code="unsupported_address")
