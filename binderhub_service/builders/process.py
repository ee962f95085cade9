"""Images as uv environments, made in detached processes: neither container nor cluster is needed.

python -m binderhub_service.builders.process stop BUILDS_DIRECTORY    end all builds
"""

from __future__ import annotations

import sys
from pathlib import Path

from ..images.layout import MADE
from ..images.trees import remove_tree
from ..worker.environment_job import EnvironmentSettings
from ..worker.job import ProcessLimits
from .detached import DetachedBuilder, stop_all


class ProcessBuilder(DetachedBuilder):
    """Makes environments with uv.

    Args:
        root: the directory that holds ``builds``, ``images`` and ``environments``.
    """

    def __init__(self, root: Path, settings: EnvironmentSettings, limits: ProcessLimits = ProcessLimits()) -> None:  # noqa: B008  # frozen
        super().__init__(root, "environment", settings, limits)

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
