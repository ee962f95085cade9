"""Addresses of repositories and names of refs, checked before anybody is asked; pure."""

from __future__ import annotations

import re
import string
from urllib.parse import unquote, urlsplit

from ..common.git_environment import ALLOWED_PROTOCOLS
from ..common.redact import has_credentials
from ..errors import InvalidRequest

SHA = re.compile(r"^(?:[0-9a-f]{40}|[0-9a-f]{64})$")
SHORT_SHA = re.compile(r"^[0-9a-f]{4,39}$")
_SCP = re.compile(r"^(?P<user>[A-Za-z0-9._-]+@)(?P<host>[A-Za-z0-9.-]+):(?!//|:)(?P<path>[^\s]+)$")
_BAD_IN_REF = re.compile(r"[\x00-\x20\x7f\ud800-\udfff~^:?*\[\\]|\.\.|@\{|//|^[-/.]|[/.]$|\.lock$")
_UNRESERVED = frozenset(string.ascii_letters + string.digits + "-._~")
_USUAL_PORTS = {"http": "80", "https": "443", "ssh": "22", "git": "9418"}
_MAX_ADDRESS_CHARACTERS = 2048
_MAX_REF_CHARACTERS = 255


def checked_address(repo: str) -> str:
    """Return the canonical form of a pasted address.

    Raises:
        InvalidRequest: it is empty, too long, of a protocol that is not allowed, or holds a credential.
    """
    text = repo.strip()
    if not text or len(text) > _MAX_ADDRESS_CHARACTERS or re.search(r"[\x00-\x20\x7f\ud800-\udfff]", text):
        raise InvalidRequest(
            "This is not the address of a repository.",
            code="unsupported_address",
            hint="Give an address such as https://github.com/owner/repository.",
        )
    if has_credentials(text):
        raise InvalidRequest(
            "The address holds a user name, password or token.",
            code="credentials_in_address",
            hint="Remove what stands before the @ and revoke the token if it was a real one: addresses are shown and stored.",
        )
    shorthand = _SCP.match(text) if "://" not in text else None
    if shorthand:
        text = f"ssh://{shorthand['user']}{shorthand['host']}/{shorthand['path'].lstrip('/')}"
    scheme, host = urlsplit_or_none(text) or ("", "")
    if scheme not in ALLOWED_PROTOCOLS or not host or host.startswith("-"):
        raise InvalidRequest(
            "This kind of address cannot be used.",
            code="unsupported_address",
            hint=f"Use one of the protocols {', '.join(ALLOWED_PROTOCOLS)}, as in https://github.com/owner/repository.",
        )
    return _normal(text)


def _normal(address: str) -> str:
    """Return the form that equal addresses share (RFC 3986, section 6.2.2): what an operator bans has no other spelling.

    Raises:
        InvalidRequest: its path leads up.
    """
    parts = urlsplit(address)
    scheme = parts.scheme.lower()
    user, at, place = parts.netloc.rpartition("@")
    host, colon, port = place.rpartition(":") if re.search(r":\d*$", place) else (place, "", "")
    if port == _USUAL_PORTS.get(scheme, ""):
        colon = port = ""
    path = re.sub(r"%([0-9A-Fa-f]{2})", _unescaped, parts.path)
    if scheme in {"http", "https"}:
        path = re.sub(r"//+", "/", path)
    if {".", ".."} & set(path.split("/")):
        raise InvalidRequest("The path in the address leads up.", code="unsupported_address", hint="Give the address without . and .. in it.")
    rest = (f"?{parts.query}" if parts.query else "") + (f"#{parts.fragment}" if parts.fragment else "")
    return f"{scheme}://{user}{at}{host.lower().rstrip('.')}{colon}{port}{path}{rest}".rstrip("/")


def _unescaped(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else match[0].upper()


def check_ref(ref: str) -> None:
    """Check that a ref could be the name of a branch, a tag or a commit (``git check-ref-format``); empty is fine.

    Raises:
        InvalidRequest: it could not.
    """
    if ref and (len(ref) > _MAX_REF_CHARACTERS or _BAD_IN_REF.search(ref)):
        raise InvalidRequest(
            "The ref cannot be the name of a branch, a tag or a commit.", code="invalid_ref", hint="Leave it empty for the default branch."
        )


def urlsplit_or_none(text: str) -> tuple[str, str] | None:
    """Return an address's scheme and host, lower case; None if it has no such form."""
    try:
        parts = urlsplit(text)
        return parts.scheme.lower(), (parts.hostname or "")
    except ValueError:
        return None


def is_address(repo: str) -> bool:
    """Say whether a pasted text is an address that git can ask."""
    text = repo.strip()
    return bool(_SCP.match(text)) or (urlsplit_or_none(text) or ("", ""))[0] in ALLOWED_PROTOCOLS


def ref_from_spec(text: str) -> str:
    """Return the ref that the end of a link names; empty for the default branch."""
    ref = unquote(text.rstrip("/"))
    return "" if ref == "HEAD" else ref


def spec_parts(spec: str) -> tuple[str, str, str]:
    """Return the first two parts of a link's spec without escapes, and the rest as it is; empty where there is none."""
    first, _, rest = spec.partition("/")
    second, _, rest = rest.partition("/")
    return unquote(first), unquote(second), rest


def path_on(host: str, repo: str) -> str | None:
    """Return the path that an address has at a host, by http, https or ssh as ``git``; None if it is of another host.

    A text that is no address is returned as it is, without white space and slashes at its end.
    """
    text = repo.strip().rstrip("/")
    for beginning in (f"git@{host}:", f"git@{host}/", f"ssh://git@{host}:", f"ssh://git@{host}/"):
        if text.lower().startswith(beginning):
            return text[len(beginning) :]
    scheme, separator, rest = text.partition("://")
    if not separator:
        return text
    place, _, path = rest.partition("/")
    return path if scheme.lower() in {"http", "https"} and place.lower().removeprefix("www.") == host else None
