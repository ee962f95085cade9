"""Bytecode goes from one environment to another where both have the same file, and nowhere else."""

from __future__ import annotations

import importlib.util
import os
import py_compile
from pathlib import Path

import pytest

from binderhub_service.worker.recipes.bytecode import take_over

LONG_AGO = 1_000_000_000


@pytest.fixture
def other(tmp_path: Path) -> Path:
    package = tmp_path / "other/lib/python3/site-packages/package"
    package.mkdir(parents=True)
    for name in ("same", "copied", "changed", "longer", "cached", "gone"):
        (package / f"{name}.py").write_text(f"name = {name!r}\n")
        py_compile.compile(str(package / f"{name}.py"))
    return tmp_path / "other"


@pytest.fixture
def new(tmp_path: Path, other: Path) -> Path:
    package = tmp_path / "new/lib/python3/site-packages/package"
    package.mkdir(parents=True)
    theirs = other / "lib/python3/site-packages/package"
    (package / "same.py").hardlink_to(theirs / "same.py")
    for name, text in {"copied": "copied", "changed": "CHANGED", "longer": "longer than it was", "cached": "cached"}.items():
        (package / f"{name}.py").write_text(f"name = {text!r}\n")
        os.utime(package / f"{name}.py", (LONG_AGO, LONG_AGO))
    (package.parent / "cache").hardlink_to(package / "cached.py")
    return tmp_path / "new"


def import_from(environment: Path, name: str) -> tuple[str, Path]:
    """Import a module of the package; return what it says its name is, and its bytecode."""
    source = environment / f"lib/python3/site-packages/package/{name}.py"
    spec = importlib.util.spec_from_file_location(name, source)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.name, Path(importlib.util.cache_from_source(str(source)))


def bytecode(environment: Path) -> list[str]:
    return sorted(path.name.partition(".")[0] for path in environment.rglob("*.pyc"))


def test_what_is_the_same_file_needs_no_second_compilation(new: Path, other: Path) -> None:
    take_over(new, [other])
    said, taken = import_from(new, "same")
    assert said == "same"
    assert taken.samefile(other / taken.relative_to(new))  # Python took it as it is


def test_a_copy_gets_a_copy_of_the_bytecode_which_python_takes_as_it_is(new: Path, other: Path) -> None:
    take_over(new, [other])
    taken = Path(importlib.util.cache_from_source(str(new / "lib/python3/site-packages/package/copied.py")))
    made = taken.stat()
    assert import_from(new, "copied") == ("copied", taken)
    assert (taken.stat().st_ino, taken.stat().st_nlink) == (made.st_ino, 1), "Python did not make it again, and nothing else shares it"


def test_another_file_and_a_file_in_the_cache_get_nothing(new: Path, other: Path) -> None:
    assert take_over(new, [other]) == 2
    assert bytecode(new) == ["copied", "same"]
    assert [import_from(new, name)[0] for name in ("changed", "longer", "cached")] == ["CHANGED", "longer than it was", "cached"]
    assert (new / "lib/python3/site-packages/cache").stat().st_mtime == LONG_AGO


def test_bytecode_that_is_there_stays_and_others_that_are_gone_give_nothing(new: Path, other: Path, tmp_path: Path) -> None:
    assert take_over(new, [tmp_path / "nowhere"]) == 0
    source = new / "lib/python3/site-packages/package/same.py"
    own = Path(str(py_compile.compile(str(source)))).read_bytes()
    assert take_over(new, [other]) == 1, "the copied one alone"
    assert Path(importlib.util.cache_from_source(str(source))).read_bytes() == own
