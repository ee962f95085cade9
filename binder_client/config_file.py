"""The file in which `binder login` keeps a person's hubs and tokens, for that person alone."""

from __future__ import annotations

import json
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from binderhub_service.common.json_object import json_object


class UnusableConfig(Exception):
    """The file cannot be read, written or understood, or others may read it; the text is a sentence for people."""


@dataclass(frozen=True)
class Config:
    """What the file says.

    Attributes:
        hub: the address of the hub that is asked if none is named; empty if there is none.
        tokens: a token for each hub, by its address.
    """

    hub: str = ""
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)

    def with_login(self, hub: str, token: str) -> Config:
        """Return what the file says after somebody has signed in to a hub, which is asked from then on."""
        return replace(self, hub=hub, tokens={**self.tokens, hub: token})


def config_path() -> Path:
    """Return where the file is: in ``$XDG_CONFIG_HOME``, or in ``~/.config``."""
    home = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(home) if home else Path.home() / ".config") / "binder" / "config.json"


def read_config(path: Path) -> Config:
    """Return what the file says; nothing if it is not there.

    Raises:
        UnusableConfig: it cannot be read or understood, or others may read it.
    """
    try:
        with path.open(encoding="utf-8") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = json_object(file.read())
    except FileNotFoundError:
        return Config()
    except OSError as error:
        raise UnusableConfig(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise UnusableConfig(f"{path} cannot be understood: remove it, and run `binder login`.") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UnusableConfig(f"Others may read the tokens in {path}: run `chmod 600 {path}`, and make new tokens.")
    hub, tokens = content.get("hub", ""), content.get("tokens", {})
    if not isinstance(hub, str) or not isinstance(tokens, dict) or not all(isinstance(token, str) for token in tokens.values()):
        raise UnusableConfig(f"{path} cannot be understood: remove it, and run `binder login`.")
    return Config(hub, tokens)


def write_config(path: Path, config: Config) -> None:
    """Write the file anew, with mode 0600; it is whole at any moment.

    Raises:
        UnusableConfig: it cannot be written.
    """
    aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump({"hub": config.hub, "tokens": dict(config.tokens)}, file, indent=2)
        aside.replace(path)
    except OSError as error:
        raise UnusableConfig(f"{path} cannot be written: {error.strerror}.") from error
