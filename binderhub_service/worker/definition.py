"""What a repository says about its environment."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Definition:
    """What a repository says about its environment.

    Attributes:
        folder: where the files are, relative to the root: ``""``, ``binder`` or ``.binder``.
        files: the contents of all files that define it, by path.
        requirements: path of requirements.txt, or None.
        project: path of a pyproject.toml whose dependencies are wanted, or None.
        locked: whether a uv.lock beside `project` pins them.
        versions: what a lock file that uv does not read says, as lines of a requirements file.
        pylock: path of pylock.toml (PEP 751), or None.
        package: whether the repository itself is installed as a package.
        all_of_lock: whether everything in `versions` is installed, because nothing else says what is needed.
        in_place: whether its build may import what is installed, as with a setup.py alone: it then needs the requirements first.
        indexes: the package indexes that `project` adds, each with whether it takes the place of the usual one.
        early: whether alphas, betas and candidates are wanted of all that the requirements name, as pip's ``--pre`` says.
        python: the Python version asked for (``3.12``, ``>=3.11``), or None.
        post_build: path of the postBuild script, or None.
        start: path of the start script, or None.
        tied_to_commit: why the environment depends on more of the tree than `files`; None if it can be shared.
        rewritten: the text that uv reads instead of a file's own, by path: other encodings, and what only pip takes.
        notes: sentences about what the repository says and this mode does not honour.
    """

    folder: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    requirements: str | None = None
    project: str | None = None
    locked: bool = False
    versions: tuple[str, ...] = ()
    pylock: str | None = None
    package: bool = False
    all_of_lock: bool = False
    in_place: bool = False
    indexes: tuple[tuple[str, bool], ...] = ()
    early: bool = False
    python: str | None = None
    post_build: str | None = None
    start: str | None = None
    tied_to_commit: str | None = None
    rewritten: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def scripts(self) -> dict[str, bytes]:
        """The contents of the scripts that are run, by path."""
        return {path: self.files[path] for path in (self.post_build, self.start) if path}

    def mentions(self, word: str) -> bool:
        """Say whether a word (in small letters) is anywhere in the files that define it."""
        texts = (*self.versions, *self.rewritten.values(), *(content.decode(errors="replace") for content in self.files.values()))
        return any(word in text.lower() for text in texts)

    def key(self, commit: str, settings: str) -> str:
        """Return the environment's key: equal for equal environments, whatever else the commits contain.

        Args:
            commit: the commit that the definition was read from; counts only if `tied_to_commit`.
            settings: everything else that shapes the environment (base packages, Python), as text.
        """
        parts = {
            "settings": settings,
            "files": {path: hashlib.sha256(content).hexdigest() for path, content in sorted(self.files.items())},
            "commit": commit if self.tied_to_commit else None,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
