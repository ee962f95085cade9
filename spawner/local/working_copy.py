"""A person's own copy of a repository on this machine: made once, kept for ever, brought up to date only while untouched.

The copy belongs to its person and may hold anything, so Git runs in it without hooks, filters, prompts and the hub's environment.

What a build has made in the checkout (its results: files that are not in the commit, or differ from it) comes into the copy, too, and follows
newer commits as the rest does: a record in the copy's ``.git`` says which files these are.
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
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import escapism

from binderhub_service.common.terminal import plain

from .placed_files import Record, put_files, read_record, state_of, write_record

GIT_SECONDS = 120
PLACED = "binder.commit"
RESULTS = "binder-results.json"
_NAMED = 3

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
# The images may be another account's, which is trusted with what everybody's servers run from.
_UPLOAD = "git -c safe.directory=* upload-pack"
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
            changed, added = _results(aside)
            write_record(aside / ".git" / RESULTS, {name: state_of(aside / name) for name in (*changed, *added)})
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
    record = read_record(copy / ".git" / RESULTS)
    changed = _names(_git(copy, "diff", "--name-only", "--no-renames", "--ignore-submodules=untracked", "-z", "HEAD"))
    if any(state_of(copy / name) != record.get(name) for name in changed):
        return f"You have changed files, {kept}"
    _git(copy, "fetch", "--quiet", "--no-tags", "--update-shallow", f"--upload-pack={_UPLOAD}", str(content), commit)
    with _without_results(copy, record, changed):
        _git(copy, "checkout", "--quiet", "--detach", "--no-overwrite-ignore", commit)
        _git(copy, "config", PLACED, commit)
    return f"Your copy was untouched, so it was brought from commit {here[:7]} to {commit[:7]}.{_put_results(content, copy)}"


@contextlib.contextmanager
def _without_results(copy: Path, record: Record, changed: Sequence[str]) -> Iterator[None]:
    """Have in the copy none of the results that are untouched; they are back if this fails.

    Args:
        changed: those that are files of the commit, which has them differently.
    """
    with TemporaryDirectory(dir=copy / ".git") as aside:
        moved = [name for name, state in record.items() if state and state_of(copy / name) == state and _is_inside(copy, name)]
        try:
            for name in moved:
                _move(copy / name, Path(aside, "files", name))
            if changed:
                names = Path(aside, "names")
                names.write_bytes(b"\0".join(map(os.fsencode, changed)))
                _git(copy, "checkout", "--quiet", "HEAD", f"--pathspec-from-file={names}", "--pathspec-file-nul")
            yield
        except _GitFailed:
            for name in moved:
                _move(Path(aside, "files", name), copy / name)
            raise


def _put_results(content: Path, copy: Path) -> str:
    """Put the results in a checkout into the copy, and return a sentence about them; empty if there are none."""
    record = copy / ".git" / RESULTS
    changed, added = _results(content)
    write_record(record, {name: state_of(copy / name) for name in changed})  # as the commit has them, so they are replaced
    there = [name for name in changed if os.path.lexists(content / name)]
    placed = put_files([*there, *added], content, copy, record)
    removed = set(changed) - set(there)
    for name in removed:
        (copy / name).unlink(missing_ok=True)
    write_record(record, read_record(record) | {name: [] for name in removed})
    if not placed:
        return ""
    named = ", ".join(plain(os.fsencode(name).decode(errors="replace")) for name in placed[:_NAMED])
    more = f" and {len(placed) - _NAMED} more" if len(placed) > _NAMED else ""
    return f" What its build made is there as well: {named}{more}."


def _results(checkout: Path) -> tuple[list[str], list[str]]:
    """Return the paths of the files that are not as they are in the commit of a checkout: the commit's own, and others.

    Git looks into every file here: it would trust an index that was refreshed by a program which replaces files behind git's back, as git-lfs does.
    What is in a repository of its own inside the checkout is left out.
    """
    with TemporaryDirectory() as folder:
        index = Path(folder, "index")
        _git(checkout, "read-tree", "HEAD", index=index)
        changed = _names(_git(checkout, "diff", "--name-only", "--no-renames", "--ignore-submodules", "-z", "HEAD", index=index))
        added = _names(_git(checkout, "ls-files", "--others", "-z", index=index))
    return changed, [name for name in added if not name.endswith("/")]


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)


def _is_inside(copy: Path, name: str) -> bool:
    """Say whether a path in the record, which is the person's to write, is one in the copy."""
    return (copy / name).parent.resolve().is_relative_to(copy.resolve()) and ".." not in Path(name).parts


def _names(output: str) -> list[str]:
    return [name for name in output.split("\0") if name]


def _git(copy: Path, *arguments: str, index: Path | None = None) -> str:
    """Run Git on the copy itself, wherever its configuration points, and return what it prints.

    Args:
        index: used in place of the copy's own.
    """
    command = (*_GIT, f"--git-dir={copy / '.git'}", f"--work-tree={copy}", *arguments)
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "file",
        "GIT_LITERAL_PATHSPECS": "1",
        **({"GIT_INDEX_FILE": str(index)} if index else {}),
    }
    try:
        # Every argument is ours or a path of ours; nothing goes through a shell.
        done = subprocess.run(  # noqa: S603
            command, cwd=copy, env=environment, timeout=GIT_SECONDS, check=True, stdin=subprocess.DEVNULL, capture_output=True
        )
    except (subprocess.SubprocessError, OSError) as error:
        raise _GitFailed from error
    return done.stdout.decode(errors="surrogateescape").strip()


def _escape(name: str) -> str:
    return str(escapism.escape(name, safe=_SAFE, escape_char="-"))
