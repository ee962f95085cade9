"""Which tests run in one process, one after the other, because they share a hub, a cluster or an engine; the others share a file."""

from __future__ import annotations

from dataclasses import dataclass

from xdist.scheduler import LoadScopeScheduling

# Folders whose tests share something that is expensive to make, in the order in which they are begun: the longest first, but for the chart's,
# whose images are built beside the first ones.
SHARING = (
    "tests/docker/builds",
    "tests/kubernetes/pods",
    "tests/kubernetes/servers",
    "tests/kubernetes/chart",
    "tests/kubernetes",
    "tests/docker/servers",
    "tests/test_run.py",
    "tests/faults/test_kills.py",
    "tests/hub",
    "tests/legacy",
    "tests/browser",
)
# Files that use the hub of a folder, which would be started once more for them.
_WITH = {"tests/process/test_endings.py": "tests/hub"}


@dataclass(frozen=True)
class Group:
    """Tests that one process runs.

    Attributes:
        rank: the lower, the earlier they are begun.
    """

    name: str
    rank: int


def group_of(node_id: str) -> Group:
    """Return the group of a test by its id, e.g. ``tests/hub/test_api.py::test_x``: a shared folder, else its file."""
    named = node_id.partition("::")[0]
    file = _WITH.get(named, named)
    for rank, folder in enumerate(SHARING):
        if file == folder or file.startswith(f"{folder}/"):
            return Group(folder, rank)
    return Group(file, len(SHARING))


class GroupScheduling(LoadScopeScheduling):
    """Gives a process whole groups."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid).name
