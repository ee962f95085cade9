"""Releases of the chart, one a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kubernetes.chart.helm import packed
from tests.kubernetes.kubectl import fresh_namespace, kubectl, make_volume


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart on the stand-in."""
    return packed(tmp_path_factory.mktemp("chart"))


@pytest.fixture(scope="module")
def place(cluster: None) -> Iterator[str]:
    """A namespace for a release."""
    with fresh_namespace() as name:
        yield name


@pytest.fixture(scope="module")
def storage_class(place: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A class of storage with three volumes that everybody may write to."""
    folder = tmp_path_factory.mktemp("volumes")
    names = [f"{place}-{number}" for number in range(3)]
    for name in names:
        (folder / name).mkdir()
        (folder / name).chmod(0o777)
        make_volume(name, place, hostPath={"path": str(folder / name)})
    yield place
    kubectl("delete", "persistentvolume", *names, "--wait=false")
