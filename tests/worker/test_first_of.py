"""Which of several files describes the environment, where only one may."""

from __future__ import annotations

from pathlib import Path

import pytest

from binderhub_service.worker.recipes.first_of import leave_out

ORDER = ("requirements.txt", "environment.yml", "Dockerfile")


@pytest.mark.parametrize(
    ("there", "order", "left"),
    [
        (["Dockerfile", "environment.yml", "requirements.txt"], ORDER, ["requirements.txt"]),
        (["Dockerfile", "environment.yml", "apt.txt"], ORDER, ["apt.txt", "environment.yml"]),
        (["Dockerfile"], ORDER, ["Dockerfile"]),
        (["README.md"], ORDER, ["README.md"]),
        (["Dockerfile", "requirements.txt"], (), ["Dockerfile", "requirements.txt"]),
        (["Dockerfile", "requirements.txt", "binder/environment.yml"], ORDER, ["Dockerfile", "binder", "requirements.txt"]),
        (["Dockerfile", "requirements.txt", ".binder/environment.yml"], ORDER, [".binder", "Dockerfile", "requirements.txt"]),
    ],
)
def test_only_the_first_file_that_is_there_is_left(tmp_path: Path, there: list[str], order: tuple[str, ...], left: list[str]) -> None:
    for name in there:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    leave_out(tmp_path, order)
    assert sorted(path.name for path in tmp_path.iterdir()) == left


def test_a_link_is_removed_and_not_what_it_leads_to(tmp_path: Path) -> None:
    aside = tmp_path / "aside"
    aside.touch()
    (tmp_path / "content").mkdir()
    (tmp_path / "content/requirements.txt").touch()
    (tmp_path / "content/Dockerfile").symlink_to(aside)
    assert leave_out(tmp_path / "content", ORDER) == ["The file Dockerfile is left out: requirements.txt describes the environment."]
    assert aside.exists()
