"""What uv may see while it makes an environment: the definition's files, the operator's package indexes, and nothing of the machine's users."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ...common.git_environment import git_environment

# Where packages and Pythons come from, how they are reached, and how much is done at a time; nothing that chooses versions.
_KEPT = frozenset(
    {
        *("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX", "UV_OFFLINE", "UV_CONFIG_FILE"),
        *("UV_CACHE_DIR", "UV_NO_CACHE", "UV_LINK_MODE", "UV_COMPILE_BYTECODE", "UV_NATIVE_TLS", "UV_SYSTEM_CERTS", "UV_INSECURE_HOST"),
        *("UV_REQUEST_TIMEOUT", "UV_LOCK_TIMEOUT", "UV_MANAGED_PYTHON", "UV_NO_MANAGED_PYTHON", "UV_PYPY_INSTALL_MIRROR"),
    }
)
_KEPT_PREFIXES = ("UV_INDEX_", "UV_HTTP_", "UV_PYTHON_", "UV_CONCURRENT_")
# Logins of the user who runs the hub: what they may read is not for everybody.
_LOGINS = ("SSH_AUTH_SOCK", "NETRC")
_NOWHERE = "/dev/null"


def uv_environment(environment: Mapping[str, str], aside: Path, cache: Path) -> dict[str, str]:
    """Return the environment in which uv and the Git that it runs know no configuration and no login of the service's user.

    Args:
        environment: what a build may see.
        aside: a folder that is there for this build alone; nothing is read from it.
        cache: where what is downloaded is kept, unless the operator's UV_CACHE_DIR says otherwise.
    """
    kept = {name: value for name, value in environment.items() if name not in _LOGINS and _may_keep(name)}
    return (
        {"UV_CACHE_DIR": str(cache), "UV_PYTHON_INSTALL_DIR": str(_pythons(kept))}
        | _git_of_uv(kept)
        | {
            "HOME": str(aside / "home"),
            "UV_NO_CONFIG": "1",
            "UV_CREDENTIALS_DIR": str(aside / "credentials"),
            "UV_NO_PROGRESS": "1",
            "NETRC": _NOWHERE,
            "GIT_CONFIG_GLOBAL": _NOWHERE,
            "GIT_CONFIG_NOSYSTEM": "1",
        }
    )


def _git_of_uv(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for the Git that uv runs: it clones from uv's cache by a path, which no repository may name in its submodules."""
    variables = git_environment(environment)
    allowed = variables.pop("GIT_ALLOW_PROTOCOL").split(":")
    settings = {"protocol.allow": "never", "protocol.file.allow": "user"} | {f"protocol.{name}.allow": "always" for name in allowed}
    numbered = {
        f"GIT_CONFIG_{part}_{number}": text for number, pair in enumerate(settings.items()) for part, text in zip(("KEY", "VALUE"), pair, strict=True)
    }
    return variables | numbered | {"GIT_CONFIG_COUNT": str(len(settings))}


def _pythons(environment: Mapping[str, str]) -> Path:
    """Return where uv keeps Pythons, as if the home were the service's user's: what it builds sees another one."""
    home = Path(environment.get("HOME") or Path.home())
    return Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share") / "uv" / "python"


def _may_keep(name: str) -> bool:
    return not name.startswith("UV_") or name in _KEPT or name.startswith(_KEPT_PREFIXES)
