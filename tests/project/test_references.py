"""The reference part of docs/configuration.md is what the code says."""

from __future__ import annotations

import importlib.util
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from traitlets.config import Configurable

import binderhub_service.modes
import spawner

SCRIPT = Path(__file__).parents[2] / "scripts" / "references.py"


@pytest.fixture(scope="module")
def references() -> ModuleType:
    specification = importlib.util.spec_from_file_location("references", SCRIPT)
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_configuration_reference_is_current() -> None:
    check = subprocess.run([sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True)
    assert check.returncode == 0, check.stderr


def test_what_stands_above_the_mark_stays_and_the_rest_is_made_anew(references: ModuleType) -> None:
    page = references.with_reference(f"by hand\n{references.MARK}an old text\n")
    assert page.startswith(f"by hand\n{references.MARK}")
    assert "an old text" not in page
    assert page == references.with_reference(page)


def test_a_page_without_the_mark_is_left_alone(references: ModuleType) -> None:
    with pytest.raises(ValueError, match="has lost the line"):
        references.with_reference("by hand only\n")


@pytest.mark.parametrize(
    "said",
    [
        "### `Limits.running`\n\n*whole number*\n\nHow many builds run at a time.",
        "### `RepoSpawner.build_timeout`\n\n*whole number, default `3600`*\n",
        "### `BinderService.mode`\n\n*one of `embedded`, ",
        "### `state_dir`\n\n*needed*\n\nDirectory for",
    ],
)
def test_the_reference_says_what_kind_of_value_and_what_for(references: ModuleType, said: str) -> None:
    assert said in references.reference()


def test_every_class_of_ours_with_settings_is_in_the_reference(references: ModuleType) -> None:
    for package in (binderhub_service.modes, spawner):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    ours = {
        cls for cls in _below(Configurable) if cls.__module__.startswith(("binderhub_service.", "spawner.")) and cls.class_own_traits(config=True)
    }
    assert ours
    assert ours == set(references.CLASSES)


def _below(cls: type[Configurable]) -> set[type[Configurable]]:
    """Return all subclasses that are known by now."""
    return {found for child in cls.__subclasses__() for found in {child, *_below(child)}}


@pytest.mark.parametrize("inherited", ["log_level", "start_timeout", "admin_users", "auto_login"])
def test_what_other_projects_document_is_left_out(references: ModuleType, inherited: str) -> None:
    assert f".{inherited}`\n" not in references.reference()


def test_no_value_of_this_machine_is_in_the_reference(references: ModuleType) -> None:
    assert sys.prefix not in references.reference()
    assert str(SCRIPT.parent.parent) not in references.reference()
