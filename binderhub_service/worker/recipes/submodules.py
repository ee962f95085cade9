"""The submodules of a checkout, fetched one by one, so that a failing one can be named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ...common.addresses import SCP
from ...common.credentials import has_credentials
from ...common.git_environment import ALLOWED_PROTOCOLS
from ...common.redact import HIDDEN, redact
from ...common.terminal import plain
from ...errors import BuildFailed
from .checkout_git import CheckoutGit

_LINK = re.compile(r"160000 ([0-9a-f]{40,64}) 0\t")
_SSH = re.compile(r"(?:git\+)?ssh://(?:[^@/]{1,255}@)?([^/:]{1,255})(?::[0-9]{1,5})?/(.{1,1024})", re.IGNORECASE)
_SHOWN_CHARACTERS = 200
_SHORT_SHA = 7
_OTHER_COMMIT = re.compile(r"not our ref|unadvertised object", re.IGNORECASE)


@dataclass(frozen=True)
class _Submodule:
    """One submodule: where it is in the checkout, its address as `.gitmodules` has it, and its commit."""

    name: str
    path: str
    url: str
    commit: str


def fetch_submodules(git: CheckoutGit, content: Path) -> dict[str, str]:
    """Fetch the submodules of a checkout, and theirs; return the address of each by its folder in the checkout.

    Raises:
        BuildFailed: one cannot be fetched, or is at an address that is not allowed; it is named.
    """
    fetched: dict[str, str] = {}
    folders = [""]
    while folders:
        folder = folders.pop()
        for submodule in _submodules_in(git, content, folder):
            where = str(PurePosixPath(folder, submodule.path))
            if not _update(git, submodule, folder):
                git.check_allowed(f"The submodule {_shown(where)} of the repository")
                raise _failure(git, submodule, folder, where)
            if (content / where / ".git").is_file():
                folders.append(where)
                fetched[where] = _address(git, submodule, folder)
    return fetched


def _update(git: CheckoutGit, submodule: _Submodule, folder: str) -> bool:
    """Fetch a submodule and check it out, with all its history only where the server gives no part of it; say whether that went well."""
    update, what = ("submodule", "update", "--progress", "--init"), ("--", f":(literal){submodule.path}")
    return git.run(*update, "--depth=1", *what, folder=folder) or (git.gives_no_part and git.run(*update, *what, folder=folder))


def _submodules_in(git: CheckoutGit, content: Path, folder: str) -> Iterator[_Submodule]:
    """Yield those that are in `.gitmodules` and in the commit; git knows no others."""
    if not (content / folder / ".gitmodules").is_file():
        return
    values: dict[str, dict[str, str]] = {}
    for entry in git.output("config", "--file", ".gitmodules", "--null", "--list", folder=folder).split("\0"):
        key, _, value = entry.partition("\n")
        section, _, rest = key.partition(".")
        name, _, variable = rest.rpartition(".")
        if section == "submodule" and name and variable in {"path", "url"}:
            values.setdefault(name, {})[variable] = value
    for name, known in values.items():
        path = known.get("path", "")
        link = _LINK.match(git.output("ls-files", "--stage", "--", f":(literal){path}", folder=folder)) if path else None
        if link:
            yield _Submodule(name, path, known.get("url", ""), link[1])


def _failure(git: CheckoutGit, submodule: _Submodule, folder: str, where: str) -> BuildFailed:
    """Return what is said of a submodule that could not be fetched; its address without credentials."""
    reason = git.reason
    url = _address(git, submodule, folder)
    message = f"The submodule {_shown(where)} of the repository, at {_without_credentials(url)}, could not be fetched"
    by_https = _by_https(url)
    if by_https:
        hint = f"Write {_without_credentials(by_https)} in .gitmodules, and commit that."
        return BuildFailed(f"{message}: builds have no key for ssh.", code="fetch_failed", hint=hint)
    if _OTHER_COMMIT.search(reason):
        hint = "Push that commit to the submodule's own repository, or commit another one here."
        return BuildFailed(f"{message}: its server does not give the commit {submodule.commit[:_SHORT_SHA]}.", code="fetch_failed", hint=hint)
    hint = "Check that its address in .gitmodules is a public http or https address, and commit that."
    if url.partition("://")[0].lower() not in ALLOWED_PROTOCOLS:
        return BuildFailed(f"{message}: that is no address that may be used.", code="fetch_failed", hint=hint)
    why = "it does not exist or is not public" if git.says_not_there else reason
    return BuildFailed(f"{message}: {why}.", code="fetch_failed", hint=hint)


def _address(git: CheckoutGit, submodule: _Submodule, folder: str) -> str:
    """Return a submodule's address; a relative one is resolved by now."""
    return git.output("config", "--get", f"submodule.{submodule.name}.url", folder=folder).strip() or submodule.url


def _by_https(url: str) -> str:
    """Return the https address that an ssh address stands for at the usual places; empty for others."""
    match = _SSH.fullmatch(url)
    if match:
        return f"https://{match[1]}/{match[2]}"
    shorthand = SCP.match(url) if "://" not in url else None
    return f"https://{shorthand['host']}/{shorthand['path'].lstrip('/')}" if shorthand else ""


def _without_credentials(url: str) -> str:
    shown = _shown(redact(url))
    return HIDDEN if has_credentials(shown.replace(f"{HIDDEN}@", "")) else shown


def _shown(text: str) -> str:
    return plain(text)[:_SHOWN_CHARACTERS]
