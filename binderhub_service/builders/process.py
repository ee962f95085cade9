"""Images as uv environments, made in detached processes: neither container nor cluster is needed.

python -m binderhub_service.builders.process stop BUILDS_DIRECTORY    end all builds
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from ..images.environments import MADE
from ..images.trees import remove_tree
from ..worker.job import ProcessLimits
from .detached import DetachedBuilder, stop_all


@dataclass(frozen=True)
class Settings:
    """What shapes every environment.

    Attributes:
        base: requirements that are part of every environment.
        python: the Python version where a repository asks for none, e.g. ``3.12``.
        uv: the uv program.
    """

    base: tuple[str, ...]
    python: str
    uv: str

    def as_text(self) -> str:
        """Return the settings as they enter the names of images and the keys of environments."""
        return json.dumps([self.base, self.python])


class ProcessBuilder(DetachedBuilder):
    """Makes environments with uv.

    Args:
        root: the directory that holds ``builds``, ``images`` and ``environments``.
    """

    def __init__(self, root: Path, settings: Settings, limits: ProcessLimits = ProcessLimits()) -> None:  # noqa: B008  # frozen
        super().__init__(root, "environment", asdict(settings) | {"text": settings.as_text()}, limits)

    def clear(self, build_id: str) -> None:
        """Remove what a dead process left half made; what a link leads to is whole."""
        for folder in ("images", "environments"):
            for made in (self._root / folder / MADE).glob(f"*.{build_id}"):
                link = made.parent.parent / made.name.removesuffix(f".{build_id}")
                if link.resolve() != made.resolve():
                    remove_tree(made)


def main(arguments: list[str]) -> None:
    """Run the command line."""
    if len(arguments) != 2 or arguments[0] != "stop":
        raise SystemExit("usage: python -m binderhub_service.builders.process stop BUILDS_DIRECTORY")
    stop_all(Path(arguments[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
