"""binder-registry's words: templates from its requests, and its replies; pure. It was written in Go, whose JSON is imitated."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ...errors import InvalidRequest
from ...models import Template

LIVE = '{"status": "Binder Registry Live!"}\n'
NOT_FOUND_PAGE = "404 page not found\n"
NO_HEADER = "Authorization header not set. Should be of format 'Authorization: token key'"
NO_TOKEN = "Token field not present in Authorization header. Should be of format 'Authorization: token key'"  # noqa: S105
WRONG_TOKEN = "Invalid token"  # noqa: S105
INCOMPLETE = "name and image-name must be specified"
EXISTS = "Template already exists"
UNKNOWN = "Template Not Found"
PANIC = "Internal Server Error. Don't Panic. We will."
CUT = "unexpected end of JSON input"

LONGEST_NAME = 640  # what an index of PostgreSQL takes, however it is written
_INT64 = range(-(2**63), 2**63)
_ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:[.,]\d+)?(Z|[+-]\d\d:\d\d)")


class RegistryRefusal(InvalidRequest):
    """A request that the registry refuses, in its own words."""


@dataclass(frozen=True)
class Fields:
    """What a request says of a template; what it does not say is empty."""

    name: str = ""
    image: str = ""
    command: str = ""
    limits: Mapping[str, int] = field(default_factory=dict)
    redirect_uri: str = ""
    container_ip: str = ""
    bind_port: int = 0


def fields_of(value: Any) -> Fields:
    """Return what a body that was JSON says; keys count in any case, unknown ones do not.

    Raises:
        RegistryRefusal: a value has the wrong type.
    """
    given = _known(value, _READ, "Template")
    return Fields(
        name=given.get("name", ""),
        image=given.get("image-name", ""),
        command=given.get("command", ""),
        limits=given.get("limits", {}),
        redirect_uri=given.get("redirect-uri", ""),
        container_ip=given.get("container-ip", ""),
        bind_port=given.get("bind-port", 0),
    )


def new_template(given: Fields, time: datetime) -> Template:
    """Return the template that a request makes; raises `RegistryRefusal` if it lacks what every template has."""
    if not given.name or not given.image:
        raise RegistryRefusal(INCOMPLETE)
    if len(given.name) > LONGEST_NAME:
        raise RegistryRefusal(f"name must have at most {LONGEST_NAME} characters")
    return Template(
        name=given.name,
        image=given.image,
        command=given.command,
        memory=given.limits.get("memory", 0),
        cpu_shares=given.limits.get("cpu_shares", 0),
        redirect_uri=given.redirect_uri,
        container_ip=given.container_ip,
        bind_port=given.bind_port,
        created=time,
        modified=time,
    )


def template_json(template: Template) -> dict[str, Any]:
    """Return a template as the registry writes it."""
    limits = {"memory": template.memory, "cpu_shares": template.cpu_shares}
    more = {"redirect-uri": template.redirect_uri, "container-ip": template.container_ip, "bind-port": template.bind_port}
    return {
        "name": template.name,
        "image-name": template.image,
        "command": template.command,
        "limits": {name: number for name, number in limits.items() if number},
        "time-created": rfc3339(template.created),
        "time-modified": rfc3339(template.modified),
        **{name: given for name, given in more.items() if given},
    }


def rfc3339(time: datetime) -> str:
    """Return a time in UTC with as many decimals as it needs."""
    text = time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    return text.rstrip("0").rstrip(".") + "Z"


def written(value: object) -> str:
    """Return JSON as Go writes it, with its newline."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return "".join(_ESCAPED.get(character, character) for character in text) + "\n"


def key_in(header: str | None) -> str:
    """Return the key in an ``Authorization`` header.

    Raises:
        RegistryRefusal: there is none; the text is the message of the 401.
    """
    if header is None:
        raise RegistryRefusal(NO_HEADER)
    parts = header.split(" ")
    if len(parts) != 2 or parts[0].lower() != "token" or not parts[1]:
        raise RegistryRefusal(NO_TOKEN)
    return parts[1]


def cleaned(path: str) -> str:
    """Return the path that a request is sent to instead: without doubled slashes, dots and a slash at its end."""
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del kept[-1:]
        elif part not in {"", "."}:
            kept.append(part)
    return "/" + "/".join(kept)


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise _wrong(value, name, "string")
    return value


def _number(value: Any, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value not in _INT64:
        raise _wrong(value, name, "int64")
    return value


def _limits(value: Any, name: str) -> dict[str, Any]:
    return _known(value, {"memory": _number, "cpu_shares": _number}, name)


def _time(value: Any, name: str) -> str:
    text = _text(value, name)
    match = _TIME.fullmatch(text)
    try:
        datetime.fromisoformat(match[1] + match[2] if match else "")
    except ValueError as error:
        raise RegistryRefusal(f'parsing time {json.dumps(value)} as "2006-01-02T15:04:05Z07:00": cannot parse {json.dumps(value)}') from error
    return text


_READ = {
    "name": _text,
    "image-name": _text,
    "command": _text,
    "limits": _limits,
    "time-created": _time,
    "time-modified": _time,
    "redirect-uri": _text,
    "container-ip": _text,
    "bind-port": _number,
}


def _known(value: Any, readers: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the values of the keys that are known, read; null says nothing, also in place of the whole."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong(value, name, "object")
    found = [(key.lower(), item) for key, item in value.items() if item is not None]
    return {key: readers[key](item, key) for key, item in found if key in readers}


def _wrong(value: Any, name: str, wanted: str) -> RegistryRefusal:
    kinds = {bool: "bool", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return RegistryRefusal(f"json: cannot unmarshal {kinds[type(value)]} into Go value {name} of type {wanted}")
