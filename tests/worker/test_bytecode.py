"""Bytecode goes from one environment to another where both have the very same file, and nowhere else."""

from __future__ import annotations

import importlib.util
import os
import py_compile
from pathlib import Path

import pytest

from binderhub_service.worker.recipes.bytecode import take_over


@pytest.fixture
def other(tmp_path: Path) -> Path:
    package = tmp_path / "other/lib/python3/site-packages/package"
    package.mkdir(parents=True)
    for name in ("same", "copied", "gone"):
        (package / f"{name}.py").write_text(f"name = {name!r}\n")
        py_compile.compile(str(package / f"{name}.py"))
    return tmp_path / "other"


@pytest.fixture
def new(tmp_path: Path, other: Path) -> Path:
    package = tmp_path / "new/lib/python3/site-packages/package"
    package.mkdir(parents=True)
    theirs = other / "lib/python3/site-packages/package"
    (package / "same.py").hardlink_to(theirs / "same.py")
    (package / "copied.py").write_bytes((theirs / "copied.py").read_bytes())
    modified = (theirs / "copied.py").stat().st_mtime_ns
    os.utime(package / "copied.py", ns=(modified, modified))
    return tmp_path / "new"


def bytecode(environment: Path) -> list[str]:
    return sorted(path.name.partition(".")[0] for path in environment.rglob("*.pyc"))


def test_what_is_the_same_file_needs_no_second_compilation(new: Path, other: Path) -> None:
    assert take_over(new, [other]) == 1
    assert bytecode(new) == ["same"]
    source = new / "lib/python3/site-packages/package/same.py"
    taken = Path(importlib.util.cache_from_source(str(source)))
    spec = importlib.util.spec_from_file_location("same", source)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.name == "same"
    assert taken.samefile(other / taken.relative_to(new))  # Python took it as it is


def test_bytecode_that_is_there_stays_and_others_that_are_gone_give_nothing(new: Path, other: Path, tmp_path: Path) -> None:
    assert take_over(new, [tmp_path / "nowhere"]) == 0
    source = new / "lib/python3/site-packages/package/same.py"
    own = Path(str(py_compile.compile(str(source)))).read_bytes()
    assert take_over(new, [other]) == 0
    assert Path(importlib.util.cache_from_source(str(source))).read_bytes() == own
