"""What lock files of Poetry and PDM say, as lines for uv."""

from __future__ import annotations

import tomllib

import pytest

from binderhub_service.worker.locked_versions import locked_versions

SIX = "name = 'six'\nversion = '1.15.0'\n"
TOLD = {
    "a package": (SIX, ("six==1.15.0",)),
    "of Poetry's main group": (f"{SIX}groups = ['main', 'dev']\n", ("six==1.15.0",)),
    "of PDM's default group": (f"{SIX}groups = ['default']\n", ("six==1.15.0",)),
    "of developers alone": (f"{SIX}groups = ['dev']\n", ()),
    "with a marker": (f"{SIX}markers = 'python_version < \"3.12\"'\n", ('six==1.15.0 ; python_version < "3.12"',)),
    "with PDM's marker": (f"{SIX}marker = 'os_name == \"nt\"'\n", ('six==1.15.0 ; os_name == "nt"',)),
    "with a marker for each group": (f"{SIX}markers = {{main = 'os_name == \"nt\"', dev = 'x'}}\n", ('six==1.15.0 ; os_name == "nt"',)),
    "from another index": (f"{SIX}[package.source]\ntype = 'legacy'\nurl = 'https://host/simple'\n", ("six==1.15.0",)),
    "from a repository": (f"{SIX}[package.source]\ntype = 'git'\nurl = 'https://host/o/r'\n", ()),
    "from a folder": (f"{SIX}path = './six'\n", ()),
    "two versions without a word which counts": (f"{SIX}[[package]]\nname = 'Six'\nversion = '1.16.0'\n", ()),
    "a name with a line end": ('name = "six\\n-r x"\nversion = "1"\n', ()),
    "a version with an option": ("name = 'six'\nversion = '1 --index-url=https://host'\n", ()),
    "a marker with a line end": (f'{SIX}markers = "x\\n-r /etc/hostname"\n', ("six==1.15.0",)),
    "no text": ("name = 6\nversion = ['1']\n", ()),
}


@pytest.mark.parametrize("case", TOLD)
def test_versions_of_packages_from_an_index_are_told(case: str) -> None:
    text, wanted = TOLD[case]
    assert locked_versions(tomllib.loads(f"[[package]]\n{text}")["package"]) == wanted


def test_what_is_no_table_is_passed_over() -> None:
    assert locked_versions(["six", 7]) == ()
