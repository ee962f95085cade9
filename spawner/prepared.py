"""What the operator has prepared, as the form offers it and as a start needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from binder_client.answers import ServiceError
from binder_client.client import BuildClient
from binderhub_service.common.refusal import Refused

from .choices import Choices
from .options import RepoOptions
from .rejection import Rejection, service_refused


@dataclass(frozen=True)
class OfferedEnvironment:
    """A prepared environment in a list.

    Attributes:
        name: what is stored.
        label: what people read.
    """

    name: str
    label: str


@dataclass(frozen=True)
class PreparedList:
    """What there is to pick.

    Attributes:
        only: whether nothing else may be used.
    """

    offered: Sequence[OfferedEnvironment] = ()
    only: bool = False


NOTHING_PREPARED = PreparedList()


async def prepared_of(client: BuildClient) -> PreparedList:
    """Return what the client's person may pick.

    Raises:
        ServiceError: the service refuses, or stays away longer than the client's patience.
    """
    answer = await client.ask_object_if_known("prepared")
    environments = answer.get("environments")
    known = [one for one in environments if isinstance(one, dict) and one.get("name")] if isinstance(environments, list) else []
    return PreparedList([OfferedEnvironment(str(one["name"]), _label(one)) for one in known], bool(answer.get("only")))


async def with_profile(client: BuildClient, options: RepoOptions, choices: Choices) -> RepoOptions:
    """Return a start's options with the profile that the operator has given to its prepared environment, whatever was chosen.

    Raises:
        Rejection: the service does not tell, or there is no such profile.
    """
    try:
        profile = await _profile_of(client, options.repo)
        return replace(options, chosen=choices.check({"profile": profile})) if profile else options
    except ServiceError as error:
        raise service_refused(error) from error
    except Refused as error:
        raise Rejection(422, f"The prepared environment {options.repo} cannot be started. {error.sentence}") from None


async def _profile_of(client: BuildClient, name: str) -> str:
    """Return the profile that the servers of a prepared environment have; empty for none of its own; raises `ServiceError`."""
    found = await client.ask_object("GET", f"prepared/{quote(name, safe='')}")
    return str(found.get("profile") or "")


def _label(one: Mapping[str, Any]) -> str:
    described = f"{one['name']}: {one['description']}" if one.get("description") else str(one["name"])
    return described if one.get("image") else f"{described} (not built yet)"
