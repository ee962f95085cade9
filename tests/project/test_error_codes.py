"""Every error code that the service can say is in the table of docs/api.md, with its status, and no other is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from binderhub_service import errors

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "binderhub_service"
ROW = re.compile(r"^\| `(?P<code>\w+)` \| (?P<status>[^|]+) \| (?P<meaning>[^|]+) \|", re.MULTILINE)
BUILD = "build"
# The one error whose status is that of whatever Tornado refused.
ANY_STATUS = {"http_error": {"any"}}


@cache
def modules() -> dict[str, ast.Module]:
    """Return the source of the service by file, parsed by the one process that needs it, and not by all that collect tests."""
    files = sorted(PACKAGE.rglob("*.py"))
    return {file.relative_to(PACKAGE).as_posix(): ast.parse(file.read_text(encoding="utf-8")) for file in files}


@cache
def bases() -> dict[str, str]:
    """Return the first base of every class by its name: a module may have an error of its own, below one of errors.py."""
    classes = [node for tree in modules().values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    found = {node.name: node.bases[0].id for node in classes if node.bases and isinstance(node.bases[0], ast.Name)}
    return found | {"Refused": "InvalidRequest"}  # the rules that the hub shares, as the service says them


@cache
def table() -> dict[str, set[str]]:
    """Return the documented statuses by code."""
    rows = ROW.finditer((ROOT / "docs" / "api.md").read_text(encoding="utf-8"))
    return {row["code"]: {status.strip() for status in row["status"].split(",")} for row in rows}


def said_by(tree: ast.AST, module: str = "") -> Iterator[tuple[str, str]]:
    """Yield every code in a module with where it shows: an HTTP status, or a build's own error."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from ((code, place(called(node), module)) for keyword in node.keywords if keyword.arg == "code" for code in texts(keyword.value))
        elif isinstance(node, ast.ClassDef):
            yield from ((code, place(node.name, module)) for code in class_codes(node))
        elif isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            yield from ((code, BUILD) for key, value in pairs if isinstance(key, ast.Constant) and key.value == "code" for code in texts(value))


def called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else ""


def texts(value: ast.expr) -> Iterator[str]:
    """Yield the texts that an expression may be: itself, or both ends of a choice."""
    yield from (node.value for node in ast.walk(value) if isinstance(node, ast.Constant) and isinstance(node.value, str))


def class_codes(node: ast.ClassDef) -> Iterator[str]:
    for statement in node.body:
        if isinstance(statement, ast.Assign) and any(isinstance(target, ast.Name) and target.id == "code" for target in statement.targets):
            yield from texts(statement.value)


def place(class_name: str, module: str) -> str:
    """Return where an error of a class shows: what is raised while a build is made, its event log tells; all else is an answer.

    A launch that fails is an answer, though it is called as a build's failure is.
    """
    if module.startswith(("builders/", "worker/")):
        return BUILD
    while not hasattr(errors, class_name):
        class_name = bases()[class_name]
    error = getattr(errors, class_name)
    return BUILD if error is errors.BuildFailed and module != "launches/hub_starts.py" else str(error.status)


@cache
def code_base() -> dict[str, set[str]]:
    """Return the statuses by code, as the source has them."""
    found: dict[str, set[str]] = {}
    for module, tree in modules().items():
        for code, status in said_by(tree, module):
            found.setdefault(code, set()).add(status)
    return found | ANY_STATUS


def test_the_table_has_every_code_of_the_source_and_no_other() -> None:
    assert sorted(table()) == sorted(code_base())


def test_a_code_is_documented_with_its_status() -> None:
    assert table() == code_base()


def test_no_code_is_listed_twice() -> None:
    codes = [row["code"] for row in ROW.finditer((ROOT / "docs" / "api.md").read_text(encoding="utf-8"))]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise NotFound('No.', code='gone')", {("gone", "404")}),
        ("raise BuildFailed('No.', code='broke', hint='x')", {("broke", "build")}),
        ("raise Unavailable('No.', code='slow' if late else 'away')", {("slow", "503"), ("away", "503")}),
        ("class Conflict(BinderError):\n    status = 409\n    code = 'conflict'", {("conflict", "409")}),
        ("CANCELLED = {'code': 'cancelled', 'message': 'No.'}", {("cancelled", "build")}),
        ("raise NotFound('code')", set()),
    ],
)
def test_a_code_is_found_however_it_is_written(source: str, said: set[tuple[str, str]]) -> None:
    assert set(said_by(ast.parse(source))) == said
