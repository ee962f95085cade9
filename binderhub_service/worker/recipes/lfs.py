"""Files that a repository keeps with Git LFS, fetched by the program git-lfs where there is one.

Facts: a pointer is a small file of which the first line is known (the specification of Git LFS, version 1). git-lfs asks addresses of the machine
itself by no proxy, so it cannot be kept to public addresses.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from ...common.git_environment import WEB_PROTOCOLS
from ...common.terminal import plain
from .checkout_git import CheckoutGit

_FIRST_LINE = "version https://git-lfs.github.com/spec/v1"
_LONGEST_POINTER_BYTES = 1024
_SHOWN_CHARACTERS = 200
# As `git lfs install` would set up; the machine's own settings are not relied on.
_FILTERS = {"clean": "git-lfs clean -- %f", "smudge": "git-lfs smudge -- %f", "process": "git-lfs filter-process", "required": "true"}


def fetch_lfs(git: CheckoutGit, content: Path, url: str, environment: Mapping[str, str], *, public_only: bool, folder: str = "") -> str:
    """Replace the pointers in a checkout by what they stand for; return what is said if some are left, else nothing.

    Args:
        url: the repository's address, which git-lfs asks unless `.lfsconfig` names another web address.
        public_only: whether only public addresses may be asked.
        folder: that of a submodule, whose files are then the ones that are meant.

    Raises:
        BuildFailed: the guard says so, or there is no space left.
    """
    attributes = ".gitattributes"
    if not folder and not git.may_have_file(attributes):
        return ""
    if not git.output("grep", "--files-with-matches", "--fixed-strings", "filter=lfs", "--", f":(glob)**/{attributes}", folder=folder):
        return ""
    if not _pointers(git, content, folder):
        return ""
    why = _fetch(git, url, environment, folder, public_only=public_only)
    left = _pointers(git, content, folder)
    where = f" in the submodule {plain(folder)[:_SHOWN_CHARACTERS]}" if folder else ""
    return f"{counted(len(left))} of Git LFS{where}, not what that stands for: {why or 'the server did not give it'}." if left else ""


def _fetch(git: CheckoutGit, url: str, environment: Mapping[str, str], folder: str, *, public_only: bool) -> str:
    """Fetch what can be; return why nothing can, if so."""
    if public_only:
        return "git-lfs cannot be kept to public addresses, and only these may be asked here"
    if not shutil.which("git-lfs", path=environment.get("PATH")):
        return "git-lfs is not installed where images are made"
    server = git.output("config", "--file", ".lfsconfig", "--get", "lfs.url", folder=folder).strip()
    if not _is_web(server):
        server = f"{url.rstrip('/').removesuffix('.git')}.git/info/lfs"
    if not _is_web(server):
        return "its files are fetched from http and https addresses only"
    settings = {"lfs.url": server, "lfs.basictransfersonly": "true", "lfs.transfer.maxretries": "1"} | {
        f"filter.lfs.{name}": value for name, value in _FILTERS.items()
    }
    git.run("lfs", "pull", settings=settings, folder=folder)
    kept = git.output("rev-parse", "--absolute-git-dir", folder=folder).strip()
    if kept:
        shutil.rmtree(Path(kept) / "lfs", ignore_errors=True)  # the files are in the checkout now
    return ""


def _pointers(git: CheckoutGit, content: Path, folder: str) -> list[str]:
    names = git.output("grep", "--files-with-matches", "--fixed-strings", "--null", _FIRST_LINE, folder=folder).split("\0")
    return [name for name in names if name and is_pointer(content / folder / name)]


def is_pointer(path: Path) -> bool:
    """Say whether a file is a pointer of Git LFS."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size > _LONGEST_POINTER_BYTES:
        return False
    return path.read_bytes().startswith(f"{_FIRST_LINE}\n".encode())


def _is_web(url: str) -> bool:
    return url.partition("://")[0].lower() in WEB_PROTOCOLS


def counted(count: int) -> str:
    """Return how many files are pointers, in words."""
    return "1 file is a pointer" if count == 1 else f"{count} files are pointers"
