"""A person's own copy of a repository on this machine: made once, kept for ever, brought up to date only while untouched.

The copy belongs to its person and may hold anything, so Git runs in it without hooks, filters, prompts and the hub's environment.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import string
import subprocess
from pathlib import Path

import escapism

GIT_SECONDS = 120
PLACED = "binder.commit"

_SAFE = set(string.ascii_letters + string.digits)
_GIT = (
    "git",
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", "core.fsmonitor=false"),
    # A start script or postBuild that was made executable is no change of the person's.
    *("-c", "core.fileMode=false"),
    *("-c", "submodule.recurse=false"),
    *("-c", "fetch.recurseSubmodules=false"),
    *("-c", "maintenance.auto=false"),
    *("-c", "gc.auto=0"),
    *("-c", "advice.detachedHead=false"),
)
_RUNS_PROGRAMS = re.compile(r"(?m)^filter\..*\.(clean|smudge|process)$")


class _GitFailed(Exception):
    """Git did not do it; the reason is not for people."""


def home_of(users_dir: Path, user: str) -> Path:
    """Return the directory that is the home of the user's servers."""
    return users_dir / _escape(user)


def copy_of(home: Path, server: str, repo: str, ref: str) -> Path:
    """Return where in `home` the copy for this server, repository and ref is; the same for the same, another for another."""
    basename = re.split(r"[/:]", repo.rstrip("/"))[-1].removesuffix(".git")
    label = re.sub(r"[^A-Za-z0-9._-]+", "-", basename).lstrip(".-")[:60] or "repository"
    digest = hashlib.sha256(f"{repo}\0{ref}".encode()).hexdigest()[:8]
    # Nothing that escape returns ends in a dash, so a server that is called "default" shares nothing with the one without a name.
    folder = {"": "default", "default": "default-"}.get(server) or _escape(server)
    return home / folder / f"{label}-{digest}"


def place(content: Path, commit: str, copy: Path) -> str:
    """Make the copy, or bring it to `commit` if nothing in it would be lost; return what was done, as a sentence.

    Args:
        content: a checkout of `commit`.
        commit: its full name.
        copy: where the copy is to be.

    Raises:
        OSError: it cannot be made, e.g. because the disk is full.
    """
    if not os.path.lexists(copy):
        _make(content, commit, copy)
        return f"Copied the repository to {copy.name}."
    if copy.is_symlink() or not (copy / ".git").is_dir() or (copy / ".git").is_symlink():
        return f"Your copy {copy.name} is no Git repository any more, so it stays as it is."
    try:
        return _update(content, commit, copy)
    except _GitFailed:
        return f"Your copy {copy.name} could not be brought to commit {commit[:7]}, maybe because files of yours are in the way. It stays as it is."


def _make(content: Path, commit: str, copy: Path) -> None:
    """Copy aside and rename, so that a half copy is never taken for a whole one."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    for left_over in copy.parent.glob(f".{copy.name}.*"):
        shutil.rmtree(left_over, ignore_errors=True)
    aside = copy.with_name(f".{copy.name}.{secrets.token_hex(4)}")
    try:
        shutil.copytree(content, aside, symlinks=True)
        with contextlib.suppress(_GitFailed):
            _git(aside, "config", PLACED, commit)
        aside.rename(copy)
    finally:
        shutil.rmtree(aside, ignore_errors=True)  # there is none any more if it has been renamed


def _update(content: Path, commit: str, copy: Path) -> str:
    here = _git(copy, "rev-parse", "--verify", "HEAD")
    if here == commit:
        return f"Your copy {copy.name} is at commit {commit[:7]}."
    kept = f"so your copy stays as it is, at commit {here[:7]}; the repository is at {commit[:7]} now."
    if here != _git(copy, "config", "--default", "", "--get", PLACED):
        return f"You have commits of your own, {kept}"
    if _RUNS_PROGRAMS.search(_git(copy, "config", "--list", "--name-only")):
        return f"Your copy has filters set up in its Git configuration, {kept}"
    if _git(copy, "status", "--porcelain", "--untracked-files=no"):
        return f"You have changed files, {kept}"
    _git(copy, "fetch", "--quiet", "--no-tags", "--update-shallow", str(content), commit)
    _git(copy, "checkout", "--quiet", "--detach", "--no-overwrite-ignore", commit)
    _git(copy, "config", PLACED, commit)
    return f"Your copy was untouched, so it was brought from commit {here[:7]} to {commit[:7]}."


def _git(copy: Path, *arguments: str) -> str:
    """Run Git on the copy itself, wherever its configuration points, and return what it prints."""
    command = (*_GIT, f"--git-dir={copy / '.git'}", f"--work-tree={copy}", *arguments)
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "file",
    }
    try:
        # Every argument is ours or a path of ours; nothing goes through a shell.
        done = subprocess.run(  # noqa: S603
            command, cwd=copy, env=environment, timeout=GIT_SECONDS, check=True, stdin=subprocess.DEVNULL, capture_output=True
        )
    except (subprocess.SubprocessError, OSError) as error:
        raise _GitFailed from error
    return done.stdout.decode(errors="replace").strip()


def _escape(name: str) -> str:
    return str(escapism.escape(name, safe=_SAFE, escape_char="-"))
