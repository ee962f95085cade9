"""Who we are to registries: from settings, from an environment variable, from Docker's configuration and its helpers."""

from __future__ import annotations

import base64
import binascii
import json
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cachetools import TTLCache, cachedmethod

from ..common.json_object import json_object
from ..errors import Unavailable

VARIABLE = "CONTAINER_ENGINE_REGISTRY_CREDENTIALS"
DOCKER_HUB = "docker.io"
_HUB_ADDRESSES = ("https://index.docker.io/v1/", "index.docker.io", "registry-1.docker.io", DOCKER_HUB)
_HELPER_SECONDS = 30
_KEPT_SECONDS = 300.0
_KEPT_LOGINS = 256
_TOKEN_USER = "<token>"  # noqa: S105  # what helpers say instead of a name when they give a refresh token


@dataclass(frozen=True)
class Login:
    """What one registry is shown; its `repr` tells no secret.

    Attributes:
        registry: host and port, ``docker.io`` for Docker Hub.
        identity_token: a refresh token, for registries that give one instead of a password.
    """

    registry: str
    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def address(self) -> str:
        """The registry as Docker's own programs name it."""
        return _HUB_ADDRESSES[0] if self.registry == DOCKER_HUB else self.registry

    def basic(self) -> str:
        """Return name and password as Docker's configuration and HTTP's basic authentication take them."""
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode()

    def header(self) -> str:
        """Return the login as the engine's API takes it in ``X-Registry-Auth``."""
        content = {"serveraddress": self.address, "username": self.username, "password": self.password, "identitytoken": self.identity_token}
        return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


def login_from(content: Mapping[str, Any], where: str) -> Login:
    """Return the login that ``registry``, ``username`` and ``password`` describe.

    Raises:
        ValueError: one of them is missing; says where, and nothing of the content.
    """
    try:
        registry, username, password = (str(content[name]) for name in ("registry", "username", "password"))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{where} must have registry, username and password") from error
    return Login(registry_host(registry), username, password)


def login_from_environment(environment: Mapping[str, str]) -> Login | None:
    """Return the login in the environment variable that repo2docker knows as well, or None; raises `ValueError`."""
    text = environment.get(VARIABLE)
    if not text:
        return None
    try:
        content = json_object(text)
    except ValueError:
        content = {}
    return login_from(content, f"The JSON in {VARIABLE}")


def registry_host(address: str) -> str:
    """Return host and port of a registry's address, ``docker.io`` for all of Docker Hub's."""
    if address in _HUB_ADDRESSES:
        return DOCKER_HUB
    host = address.partition("://")[2] or address
    host = host.partition("/")[0].lower()
    return DOCKER_HUB if host in _HUB_ADDRESSES else host


def docker_config_directory(environment: Mapping[str, str]) -> Path:
    """Return where Docker's own programs keep their configuration."""
    return Path(environment.get("DOCKER_CONFIG") or Path.home() / ".docker")


class Credentials:
    """Finds the login of a registry; those that were given win over Docker's configuration.

    Args:
        given: logins from settings and the environment.
        docker_config: the directory with Docker's ``config.json``; None to leave that alone.
    """

    def __init__(self, given: Sequence[Login] = (), docker_config: Path | None = None) -> None:
        self._given = {login.registry: login for login in given}
        self._file = docker_config / "config.json" if docker_config else None
        self._kept: TTLCache[str, Login | None] = TTLCache(_KEPT_LOGINS, _KEPT_SECONDS)
        self._lock = threading.Lock()

    @classmethod
    def read(cls, logins: Path, docker_config: Path | None) -> Credentials:
        """Return the credentials with the given logins that `write` wrote."""
        content = json.loads(logins.read_text()) if logins.exists() else []
        return cls([Login(**login) for login in content], docker_config)

    def write(self, logins: Path) -> None:
        """Write the given logins to a file that nobody else may read, or remove it if there are none."""
        logins.unlink(missing_ok=True)
        if self._given:
            descriptor = os.open(logins, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(logins_text(self.given))

    @property
    def given(self) -> Sequence[Login]:
        """The logins that do not come from Docker's configuration."""
        return list(self._given.values())

    def login_for(self, registry: str) -> Login | None:
        """Return the login for a registry, or None if it is to be asked as nobody.

        May run a program; what it says is kept for some minutes.

        Raises:
            Unavailable: Docker's configuration cannot be read, or its helper failed.
        """
        if registry in self._given:
            return self._given[registry]
        return self._from_docker(registry)

    @cachedmethod(lambda self: self._kept, lock=lambda self: self._lock)
    def _from_docker(self, registry: str) -> Login | None:
        try:
            return _login_in(json_object(self._file.read_bytes()), registry) if self._file else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise unusable("Docker's configuration file cannot be read.") from error


def logins_text(logins: Sequence[Login]) -> str:
    """Return logins as `Credentials.read` reads them; it holds their secrets."""
    return json.dumps([vars(login) for login in logins])


def _login_in(config: Mapping[str, Any], registry: str) -> Login | None:
    """Return the login for a registry in Docker's configuration, or None."""
    addresses = _HUB_ADDRESSES if registry == DOCKER_HUB else (registry, f"https://{registry}", f"https://{registry}/v2/", f"https://{registry}/v1/")
    helpers = config.get("credHelpers", {})
    for address in addresses:
        if address in helpers:
            return _ask_helper(helpers[address], address, registry)
    if config.get("credsStore"):
        for address in addresses:
            found = _ask_helper(config["credsStore"], address, registry)
            if found:
                return found
    entries = config.get("auths", {})
    return next((login for address in addresses if (login := _from_entry(entries.get(address), registry))), None)


def _from_entry(entry: Mapping[str, str] | None, registry: str) -> Login | None:
    if not entry:
        return None
    username, password = entry.get("username", ""), entry.get("password", "")
    if entry.get("auth"):
        try:
            username, _, password = base64.b64decode(entry["auth"], validate=True).decode().rstrip("\0").partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise unusable(f"The login for {registry} in Docker's configuration file cannot be read.") from error
    login = Login(registry, username, password, entry.get("identitytoken", ""))
    return login if login.password or login.identity_token else None


def _ask_helper(helper: str, address: str, registry: str) -> Login | None:
    """Ask a ``docker-credential-*`` program; secrets pass through pipes only."""
    command = [f"docker-credential-{helper}", "get"]
    try:
        answer = subprocess.run(command, input=address.encode(), capture_output=True, timeout=_HELPER_SECONDS, check=False)  # noqa: S603  # named by the operator
    except (OSError, subprocess.TimeoutExpired) as error:
        raise unusable(f"The program docker-credential-{helper} could not be run.") from error
    if answer.returncode:
        if b"credentials not found" in answer.stdout.lower() + answer.stderr.lower():
            return None
        raise unusable(f"The program docker-credential-{helper} failed.")
    try:
        content = json_object(answer.stdout)
        username, secret = str(content["Username"]), str(content["Secret"])
    except (ValueError, KeyError) as error:
        raise unusable(f"The program docker-credential-{helper} gave no login.") from error
    return Login(registry, "", "", secret) if username == _TOKEN_USER else Login(registry, username, secret)


def unusable(message: str) -> Unavailable:
    """Return the error for logins that are there and cannot be used."""
    return Unavailable(message, code="registry_credentials_unusable", hint="Ask an administrator to look at the hub's registry credentials.")
