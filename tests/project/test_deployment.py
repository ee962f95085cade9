"""The unit that docs/deployment.md explains."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/deployment.md").read_text()
EXPLAINED = re.findall(r"^\| (no )?`(\w+)=(\w+)` \|", PAGE, re.MULTILINE)


@pytest.fixture
def unit() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names as they are
    parser.read(ROOT / "examples/systemd/jupyterhub.service")
    return parser["Service"]


@pytest.mark.parametrize(("no", "name", "value"), EXPLAINED)
def test_the_unit_has_every_line_that_is_explained(unit: configparser.SectionProxy, no: str, name: str, value: str) -> None:
    assert unit.get(name) == (None if no else value)


def test_the_unit_starts_what_the_page_installs(unit: configparser.SectionProxy) -> None:
    assert len(EXPLAINED) == 4
    program, _, arguments = unit["ExecStart"].partition(" -f ")
    assert f"{program.removesuffix('/bin/jupyterhub')}/bin/pip install" in PAGE
    assert f"`{arguments}`" in PAGE
    assert f'state_dir="/var/lib/{unit["StateDirectory"].split()[1]}"' in PAGE
    assert f"useradd --system --create-home --shell /bin/bash {unit['User']}" in PAGE
