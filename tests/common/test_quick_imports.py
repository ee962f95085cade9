"""Programs start without the work that some libraries do when they are imported, and find the libraries as they are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from binderhub_service.common import quick_imports
from binderhub_service.common.server_program import server_command

BEFORE = "import sys, jsonschema\nassert 'rfc3987_syntax' in sys.modules and 'rfc3987_syntax.syntax_helpers' not in sys.modules\n"


OF_THE_HUB = "[name for name in ('jupyterhub.handlers.base', 'sqlalchemy.orm', 'alembic') if name in sys.modules]"
LOG = f"import sys, jupyterhub.log as log, jupyterhub.singleuser\nseen = {OF_THE_HUB}\n"


def printed_by(folder: Path, program: str, name: str = "program", **environment: str) -> str:
    """Return what a program prints that is run as a server's is."""
    file = folder / name
    file.write_text(program)
    command = [sys.executable, quick_imports.__file__, str(file), "--first"]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("checker = jsonschema.FormatChecker(); print([checker.conforms(text, 'iri') for text in ('http://a/\\u00e4', ': :')])", "[True, False]"),
        ("from rfc3987_syntax import parse; print(parse('iri', 'http://a/b').data)", "iri"),
        (
            "import rfc3987_syntax as it; print(it.RFC3987_SYNTAX_PARSER_TYPE, type(it), type(it.__loader__).__name__)",
            "earley <class 'module'> SourceFileLoader",
        ),
        ("import rfc3987_syntax.utils as it; print(it.__name__)", "rfc3987_syntax.utils"),
        ("import rfc3987_syntax as it; print(hasattr(it, 'nothing'))", "False"),
    ],
)
def test_the_grammar_of_iris_is_read_when_it_is_used_and_then_as_ever(tmp_path: Path, program: str, said: str) -> None:
    assert printed_by(tmp_path, BEFORE + program) == said


def test_jupyterlab_runs_no_node_while_it_is_imported_and_finds_it_afterwards(tmp_path: Path) -> None:
    node = tmp_path / "node"
    node.write_text(f"#!/bin/sh\necho ran >> {tmp_path}/ran\necho '{{}}'\n")
    node.chmod(0o755)
    program = "import jupyterlab.labapp as it, shutil; print(it.version, shutil.which('node'), type(it.__loader__).__name__)"
    version, found, loader = printed_by(tmp_path, program, PATH=str(tmp_path)).split()
    assert version[0].isdigit()
    assert (found, loader) == (str(node), "SourceFileLoader")
    assert not (tmp_path / "ran").exists()


def test_httpx_imports_its_command_line_when_that_is_used(tmp_path: Path) -> None:
    program = "import sys, httpx; print(httpx.get.__module__, 'rich' in sys.modules); httpx.main(['--help'])"
    first, *shown = printed_by(tmp_path, program).splitlines()
    assert first == "httpx False"
    assert "Usage: httpx" in " ".join(shown)


def test_a_server_imports_the_hubs_handlers_when_they_are_used_and_then_as_ever(tmp_path: Path) -> None:
    program = """
import tornado.web as web
new = object.__new__
static = new(web.StaticFileHandler)
print(seen, isinstance(object(), log.HealthCheckHandler), isinstance(static, web.StaticFileHandler | log.HealthCheckHandler))
from jupyterhub.handlers.pages import HealthCheckHandler, HomeHandler
handlers = new(HealthCheckHandler), new(HomeHandler), static
print([isinstance(handler, kind) for handler in handlers for kind in (log.HealthCheckHandler, HealthCheckHandler)])
import jupyterhub.handlers as it
print(it.default_handlers != [], it.BaseHandler.__name__, type(it).__name__, type(it.__loader__).__name__)
"""
    assert printed_by(tmp_path, LOG + program, "jupyterhub-singleuser").splitlines() == [
        "[] False True",
        "[True, True, False, False, False, False]",
        "True BaseHandler module SourceFileLoader",
    ]


def test_a_server_imports_the_hubs_models_when_they_are_used_and_then_as_ever(tmp_path: Path) -> None:
    program = """
from jupyterhub.orm import Spawner
from jupyterhub import orm
print(Spawner.__tablename__, orm.User.__tablename__, type(orm).__name__, type(orm.__loader__).__name__)
import jupyterhub.app as it
print(it.JupyterHub.__name__)
"""
    assert printed_by(tmp_path, LOG + program, "jupyterhub-singleuser").splitlines() == ["spawners users module SourceFileLoader", "JupyterHub"]


def test_only_a_server_does_without_the_hubs_handlers(tmp_path: Path) -> None:
    assert printed_by(tmp_path, LOG + "print(len(seen))", "jupyterhub") == "3"


def test_a_program_sees_what_it_would_see_without_that(tmp_path: Path) -> None:
    said = printed_by(tmp_path, "import sys; print(__name__, sys.argv, sys.path[0])")
    assert said == f"__main__ ['{tmp_path}/program', '--first'] {tmp_path}"


def test_only_a_script_of_the_environments_own_python_is_run_in_this_way(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "jupyterhub-singleuser"
    assert server_command(tmp_path) == [str(program)]
    program.parent.mkdir()
    for first, quick in ((f"#!{tmp_path}/bin/python3", True), ("#!/bin/sh", False), ("#!/usr/bin/python3", False)):
        program.write_text(f"{first}\n")
        assert (server_command(tmp_path)[0] == f"{tmp_path}/bin/python") is quick
        assert server_command(tmp_path)[-1] == str(program)
