"""A bare Git repository whose commits have the same SHAs on every machine and every day."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

FIRST_COMMIT_AT = 1_700_000_000
PERSON = "Ada Tester <ada@example.org>"


@dataclass(frozen=True)
class Link:
    """A symbolic link."""

    target: str


@dataclass(frozen=True)
class Submodule:
    """A commit of another repository."""

    commit: str


# Large files of the tests are random: to compress them, or to look for what they have in common, would be in vain. What is imported stays a pack.
_CONFIG = """\
[core]
	repositoryformatversion = 0
	bare = true
	compression = 0
	bigFileThreshold = 1m
[fastimport]
	unpackLimit = 1
[http]
	uploadpack = true
[uploadpack]
	allowAnySHA1InWant = true
"""

Content = str | bytes | Link | Submodule | None
Files = Mapping[str, Content]


def files_in(folder: Path) -> dict[str, bytes | Link]:
    """Return the content of every file and the target of every link below `folder`, by its path relative to it."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_symlink() or path.is_file()]
    return {path.relative_to(folder).as_posix(): Link(str(path.readlink())) if path.is_symlink() else path.read_bytes() for path in paths}


class BareRepository:
    """A repository that grows one commit at a time.

    Commits are dated one minute apart from a fixed day, so equal content has equal SHAs.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.commits = 0
        for folder in ("objects", "refs"):
            (directory / folder).mkdir(parents=True)
        (directory / "HEAD").write_text("ref: refs/heads/main\n")
        (directory / "config").write_text(_CONFIG)

    def commit(self, files: Files, branch: str = "main", message: str = "Change files", parent: str | None = None) -> str:
        """Commit `files` on top of `branch` and return the commit's SHA.

        Args:
            files: text, bytes, a link or a submodule by path; None deletes. What begins with ``#!`` becomes executable.
            branch: made if it is not there, starting from nothing or from `parent`.
            parent: commit or ref to start from instead of the branch's own tip.
        """
        ref = f"refs/heads/{branch}"
        start = parent or (ref if self.commits and self.has(ref) else None)
        made = self._git("fast-import", "--quiet", "--force", stdin=b"".join(self._commit_stream(files, ref, message, start)))
        self.commits += 1
        return made

    def branch(self, name: str, at: str = "HEAD") -> str:
        """Make or move the branch `name` to `at`; return the commit's SHA."""
        self._git("update-ref", f"refs/heads/{name}", self.rev(at))
        return self.rev(f"refs/heads/{name}")

    def tag(self, name: str, annotated: bool = False, at: str = "HEAD") -> str:
        """Make the tag `name` at `at`; return the SHA it holds: the tag object's own if `annotated`, else the commit's."""
        options = ["--annotate", "--message", f"Tag {name}"] if annotated else []
        self._git("tag", *options, "--end-of-options", name, self.rev(at))
        return self._git("rev-parse", f"refs/tags/{name}")

    def rev(self, ref: str) -> str:
        """Return the commit that `ref` leads to."""
        return self._git("rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}")

    def has(self, ref: str) -> bool:
        """Whether `ref` leads to something."""
        done = subprocess.run(["git", "rev-parse", "--verify", "--quiet", ref], cwd=self.directory, env=self.environment(), capture_output=True)
        return done.returncode == 0

    def _commit_stream(self, files: Files, ref: str, message: str, parent: str | None) -> Iterator[bytes]:
        text = message.encode()
        yield f"commit {ref}\nmark :1\ncommitter {PERSON} {self._now()} +0000\ndata {len(text)}\n".encode() + text + b"\n"
        if parent:
            yield f"from {parent}^0\n".encode()
        for path, content in files.items():
            if content is None:
                yield f"D {path}\n".encode()
                continue
            if isinstance(content, Submodule):
                yield f"M 160000 {content.commit} {path}\n".encode()
                continue
            text_in = content.target if isinstance(content, Link) else content
            data = text_in.encode() if isinstance(text_in, str) else text_in
            mode = "120000" if isinstance(content, Link) else "100755" if data.startswith(b"#!") else "100644"
            yield f"M {mode} inline {path}\ndata {len(data)}\n".encode() + data + b"\n"
        yield b"get-mark :1\n"

    def _now(self) -> int:
        return FIRST_COMMIT_AT + 60 * self.commits

    def environment(self) -> dict[str, str]:
        """Return the environment for Git: nothing of this machine's or person's settings, and the date of the next commit."""
        name, address = PERSON.removesuffix(">").split(" <")
        who = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in (("NAME", name), ("EMAIL", address))}
        when = {f"GIT_{role}_DATE": f"{self._now()} +0000" for role in ("AUTHOR", "COMMITTER")}
        return {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "TZ": "UTC", **who, **when}

    def _git(self, *arguments: str, stdin: bytes = b"") -> str:
        done = subprocess.run(["git", *arguments], cwd=self.directory, env=self.environment(), input=stdin, capture_output=True)
        if done.returncode:
            raise RuntimeError(f"git {' '.join(arguments)}: {done.stderr.decode(errors='replace')}")
        return done.stdout.decode().strip()
