"""The folders of the packages: imports point down only."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICE = ROOT / "binderhub_service"
FILES = sorted(SERVICE.rglob("*.py"))
# From the top down: files and packages. A file may import what stands below its own floor, and its own package, as long as nothing goes round.
FLOORS = [
    ["__main__"],
    ["startup"],
    ["commands"],
    ["serving"],
    ["assembly"],
    ["app"],
    ["handlers", "modes"],
    ["context"],
    ["settings"],
    ["launches", "monitoring"],
    ["builds"],
    ["store", "builders"],
    ["worker", "working_copies"],
    ["images", "providers"],
    ["clients"],
    ["names", "process", "hub_auth"],
    ["common", "models", "errors"],
]
HEIGHT = {room: -number for number, rooms in enumerate(FLOORS) for room in rooms}
# What may import a heavy or foreign package, by the beginning of the file's name.
RESERVED = {
    "tornado.web": ("handlers",),
    "kubernetes_asyncio": ("builders.kubernetes",),
    "docker": ("clients.engine",),
    "sqlalchemy": ("store",),
    "alembic": ("store",),
    "prometheus_client": ("monitoring",),
    "jupyter_events": ("monitoring.event_logger",),
    "jwt": ("launches.build_tokens",),
    "traitlets": ("app", "commands.checking", "settings", "modes", "providers"),
    "jupyterhub": ("hub_auth", "handlers.rendering"),
}


def name_of(file: Path) -> str:
    parts = file.relative_to(SERVICE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = [name_of(file) for file in FILES if "versions" not in file.parts]


@cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


@cache
def imports_of(file: Path) -> frozenset[str]:
    """Return the absolute names of the modules that a file imports when it runs; ``from . import x`` gives ``...x`` as well."""
    return frozenset(_imports_of(file))


def _imports_of(file: Path) -> Iterator[str]:
    package = ["binderhub_service", *file.relative_to(SERVICE).parts[:-1]]
    tree = tree_of(file)
    for_types = {
        child for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def rooms_imported_by(file: Path) -> set[str]:
    found = {name.removeprefix("binderhub_service").lstrip(".") for name in imports_of(file) if name.split(".")[0] == "binderhub_service"}
    return {name for name in found if name in NAMES}


def room_of(name: str) -> str:
    return name.partition(".")[0]


def test_every_room_has_a_floor_and_every_floor_its_rooms() -> None:
    assert sorted(HEIGHT) == sorted({room_of(name) for name in NAMES if name})


@pytest.mark.parametrize("file", [file for file in FILES if name_of(file)], ids=name_of)
def test_imports_point_down(file: Path) -> None:
    room = room_of(name_of(file))
    others = {room_of(other) for other in rooms_imported_by(file) if other} - {room}
    assert {other for other in others if HEIGHT[other] >= HEIGHT[room] and {room, other} != {"models", "errors"}} == set()


def test_no_imports_go_round() -> None:
    graph = {name_of(file): rooms_imported_by(file) - {"", name_of(file)} for file in FILES}
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("package", RESERVED)
def test_a_package_is_imported_only_where_it_belongs(package: str) -> None:
    users = {name_of(file) for file in FILES for name in imports_of(file) if name == package or name.startswith(f"{package}.")}
    assert {user for user in users if not user.startswith(RESERVED[package])} == set()


def test_the_service_imports_neither_the_spawner_nor_the_client() -> None:
    assert not [file for file in FILES if any(name.split(".")[0] in {"spawner", "binder_client"} for name in imports_of(file))]


@pytest.mark.parametrize(
    ("package", "files", "foreign"),
    [
        ("spawner", "**/*.py", {"click", "rich"}),
        ("binder_client", "*.py", {"click", "jupyterhub", "rich", "spawner", "tornado", "traitlets"}),
        ("binder_client", "commands/*.py", {"jupyterhub", "spawner", "tornado", "traitlets"}),
    ],
)
def test_of_the_service_the_other_packages_import_the_common_rules_only(package: str, files: str, foreign: set[str]) -> None:
    for file in (ROOT / package).glob(files):
        nodes = [node for node in ast.walk(tree_of(file)) if isinstance(node, ast.Import | ast.ImportFrom)]
        names = {name for node in nodes for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])}
        assert not [name for name in names if name.startswith("binderhub_service") and not name.startswith("binderhub_service.common")], file
        assert not {name.split(".")[0] for name in names} & foreign, file


@pytest.mark.parametrize("file", sorted((SERVICE / "common").rglob("*.py")), ids=lambda file: file.stem)
def test_the_common_rules_need_the_standard_library_only(file: Path) -> None:
    foreign = {name.split(".")[0] for name in imports_of(file)} - sys.stdlib_module_names
    assert foreign <= {"binderhub_service"}


@pytest.mark.parametrize(
    "file",
    [
        *(SERVICE / f"{name}.py" for name in ("builds/builds", "builds/sharing", "builds/scheduler", "builds/runner")),
        *sorted((SERVICE / "handlers").rglob("*.py")),
    ],
    ids=lambda file: file.stem,
)
def test_the_middle_asks_nobody_for_the_mode(file: Path) -> None:
    assert not re.search(r"\bif\b.*(?:kube|docker)", file.read_text(), re.IGNORECASE)


def test_a_class_name_means_one_thing() -> None:
    names = Counter(node.name for file in FILES for node in ast.walk(tree_of(file)) if isinstance(node, ast.ClassDef))
    assert [name for name, count in names.items() if count > 1] == []


def test_every_client_says_whom_it_trusts() -> None:
    """Else httpx reads all certificates anew, 50 ms of a processor each time, and knows those of certifi alone."""
    makers = re.compile(r"httpx\.Async(?:Client|HTTPTransport)")
    for file in FILES:
        nodes = list(ast.walk(tree_of(file)))
        own = [node for node in nodes if isinstance(node, ast.ClassDef) and any(makers.fullmatch(ast.unparse(base)) for base in node.bases)]
        inits = {call for node in own for call in ast.walk(node) if isinstance(call, ast.Call) and ast.unparse(call.func) == "super().__init__"}
        calls = [node for node in nodes if isinstance(node, ast.Call) and (node in inits or makers.fullmatch(ast.unparse(node.func)))]
        assert all({"verify", "transport"} & {keyword.arg for keyword in call.keywords} for call in calls), name_of(file)


def test_errors_are_caught_broadly_in_one_place() -> None:
    broad = [
        name_of(file)
        for file in FILES
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.ExceptHandler) and (node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"})
    ]
    assert broad == ["builds.scheduler", "process.tasks"]


# What takes long to import and is needed by no build, or only by those that import it when they do.
NOT_IN_WORKERS = {"tornado", "sqlalchemy", "jupyterhub", "traitlets", "prometheus_client", "docker", "requests", "httpx", "kubernetes_asyncio"}
NOT_IN_WORKERS |= {"asyncio", "ssl", "http.client", "urllib.request", "email", "socketserver", "zipfile", "tomllib", "sqlite3", "multiprocessing"}


@pytest.mark.parametrize(("recipe", "more"), [("environment", {"tarfile", "concurrent.futures"}), ("repo2docker", set())])
def test_a_build_process_imports_little(recipe: str, more: set[str]) -> None:
    """Every build starts a process; what it does not need makes every build late."""
    code = f"import sys, binderhub_service.worker.main, binderhub_service.worker.recipes.{recipe}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {*NOT_IN_WORKERS, *more} & set(loaded)


def test_an_idle_service_has_not_imported_what_only_a_hub_needs() -> None:
    """It would take a sixth of its memory, and be late at its start."""
    code = "import sys, binderhub_service.serving; print(*sys.modules)"
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
    assert "jupyterhub.services.auth" in loaded
    assert not loaded & {"alembic", "sqlalchemy.orm", "jupyterhub.handlers", "jupyterhub.spawner", "docker", "kubernetes_asyncio"}
