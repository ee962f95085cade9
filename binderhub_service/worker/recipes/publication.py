"""How what a build makes becomes visible, in one step: a directory, and the link that leads there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...common.repo_environment import IMAGE_HOME
from ...images.layout import MADE

# Of so many environments bytecode is taken over: those before are of other versions, if they differ.
_NEWEST = 3


@dataclass(frozen=True)
class Publication:
    """A directory that is made aside, and the link that leads there once it is complete."""

    link: Path
    made: Path

    @classmethod
    def of(cls, folder: Path, name: str, build_id: str) -> Publication:
        """Return where a build makes what will be called `name` in a folder, which is made if it is not there."""
        (folder / MADE).mkdir(parents=True, exist_ok=True)
        return cls(link=folder / name, made=folder / MADE / f"{name}.{build_id}")

    def newest_of_others(self) -> list[Path]:
        """Return the directories that the newest links lead to, the newest first; none in which a script of a repository ran."""
        links = [link for link in self.link.parent.iterdir() if link.is_symlink() and not (link / IMAGE_HOME).exists()]
        return [link.resolve() for link in sorted(links, key=_made_at, reverse=True)[:_NEWEST]]

    def publish(self) -> None:
        """Let the link lead to what was made, in one step; what it led to before stays where it is."""
        aside = self.made.with_name(self.made.name + ".link")
        aside.unlink(missing_ok=True)
        aside.symlink_to(self.made)
        aside.replace(self.link)


def _made_at(link: Path) -> float:
    """Return when a link was made; long ago if it is gone."""
    try:
        return link.lstat().st_mtime
    except OSError:
        return 0
