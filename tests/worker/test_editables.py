"""Folders of the checkout that an environment imports from are found, however a backend writes them down."""

from __future__ import annotations

from pathlib import Path

import pytest

from binderhub_service.worker.recipes.editables import import_roots


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    folder = tmp_path / "env" / "lib" / "python3.11" / "site-packages"
    folder.mkdir(parents=True)
    return folder


def roots(tmp_path: Path) -> list[str]:
    return import_roots(tmp_path / "env", tmp_path / "content")


def test_a_path_file_names_a_folder(packages: Path, tmp_path: Path) -> None:
    (packages / "demo.pth").write_text(f"import sys\n{tmp_path}/content/src\n/usr/lib/elsewhere\nrelative\n")
    assert roots(tmp_path) == ["src"]


def test_a_finder_of_setuptools_maps_packages_to_folders(packages: Path, tmp_path: Path) -> None:
    mapping = {"demo": f"{tmp_path}/content/python/demo", "space.deep": f"{tmp_path}/content/lib/space/deep", "other": "/opt/other"}
    (packages / "__editable___demo_1_0_finder.py").write_text(f"from x import y\nMAPPING: dict[str, str] = {mapping!r}\nNAMESPACES = {{}}\n")
    assert roots(tmp_path) == ["lib", "python"]


@pytest.mark.parametrize("text", ["MAPPING = {", "MAPPING = {print(): 1}", "MAPPING = {'a.b.c': '/x'}", "MAPPING = {1: 2}", ""])
def test_a_finder_that_says_something_else_names_nothing(packages: Path, tmp_path: Path, text: str) -> None:
    (packages / "__editable___demo_finder.py").write_text(text)
    assert roots(tmp_path) == []
