"""What is used of other packages though they do not promise it: each name in one file, and as it was when it was taken into use.

A new version that changes one of these fails here, and says where to look, before it fails in somebody's hub.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import jupyterhub._data
import pytest
from dockerspawner import DockerSpawner
from jupyterhub.handlers.base import BaseHandler
from jupyterhub.services.auth import HubAuth
from jupyterhub.spawner import SimpleLocalProcessSpawner
from kubespawner import KubeSpawner

ROOT = Path(__file__).parents[2]
FOREIGN = (KubeSpawner, DockerSpawner, SimpleLocalProcessSpawner, BaseHandler)
BASE, CLAIMS, PROFILES = "spawner/kubernetes/base.py", "spawner/kubernetes/home_claims.py", "spawner/kubernetes/spawner.py"
# The parameters of KubeSpawner's methods (some are every spawner's), whether they are coroutines, and the one file that uses each.
METHODS = {
    "_check_pvc_exists": (["self", "pvc_name", "namespace"], True, CLAIMS),
    "_expand_env": (["self", "env"], False, BASE),
    "_expand_user_properties": (["self", "template", "slug_scheme"], False, CLAIMS),
    "_get_initialized_profile_list": (["self", "profile_list"], False, PROFILES),
    "_make_create_pod_request": (["self", "pod", "request_timeout"], True, BASE),
    "_make_create_pvc_request": (["self", "pvc", "request_timeout"], True, CLAIMS),
    "_make_delete_pvc_request": (["self", "pvc_name", "request_timeout"], True, CLAIMS),
    "_render_options_form": (["self", "profile_list"], False, PROFILES),
    "_run_apply_user_options": (["self", "user_options"], True, "spawner/composed.py"),
    "_sorted_dict_values": (["self", "src"], False, PROFILES),
    "_start": (["self"], True, BASE),
    "_start_reflector": (["self", "kind", "reflector_class", "replace", "kwargs"], True, BASE),
    "_start_watching_pods": (["self", "replace"], True, BASE),
    "_validate_user_options": (["self", "profile_list"], False, PROFILES),
}
# Text that the hub's own code must have, and the one file of ours that relies on it.
WORDS = {
    "handler._token_authenticated = True": (HubAuth, "_token_authenticated", "binderhub_service/handlers/base.py"),
    "self.settings['failure_count'] += 1": (BaseHandler, "failure_count", "spawner/rejection.py"),
}


def files() -> list[Path]:
    return [file for package in ("binder_client", "binderhub_service", "spawner") for file in sorted((ROOT / package).rglob("*.py"))]


def private_names_in(file: Path) -> Iterator[str]:
    """Yield the private names of other packages' classes that a file uses or replaces."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        name = node.attr if isinstance(node, ast.Attribute) else node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else ""
        if name.startswith("_") and not name.startswith("__") and any(hasattr(foreign, name) for foreign in FOREIGN):
            yield name


def files_with(text: str) -> list[str]:
    return [str(file.relative_to(ROOT)) for file in files() if text in file.read_text(encoding="utf-8")]


@pytest.mark.parametrize("name", METHODS)
def test_a_private_method_of_kubespawner_is_as_it_was(name: str) -> None:
    parameters, is_coroutine, _ = METHODS[name]
    method = getattr(KubeSpawner, name)
    assert list(inspect.signature(method).parameters) == parameters
    assert inspect.iscoroutinefunction(method) is is_coroutine


def test_every_private_name_that_is_used_is_known_here_and_has_one_place() -> None:
    named_alike = {("_start", "spawner/docker/base.py"), ("_escape", "spawner/local/working_copy.py")}
    own = named_alike | {(name, "spawner/build_request.py") for name in ("_log", "_server")}  # ours, and only called as theirs are
    used = {(name, str(file.relative_to(ROOT))) for file in (ROOT / "spawner").rglob("*.py") for name in private_names_in(file)}
    assert used - own == {(name, file) for name, (_, _, file) in METHODS.items()}


@pytest.mark.parametrize("words", WORDS)
def test_the_hub_keeps_what_is_relied_on_where_it_was(words: str) -> None:
    where, name, file = WORDS[words]
    assert words.replace("'", '"') in inspect.getsource(where).replace("'", '"')
    assert files_with(f'"{name}"') == [file]


def test_the_hubs_own_files_are_where_they_were() -> None:
    folder = Path(jupyterhub._data.DATA_FILES_PATH)
    assert (folder / "templates" / "page.html").is_file()
    assert (folder / "static" / "css" / "style.min.css").is_file()
    assert files_with("jupyterhub._data") == ["binderhub_service/handlers/rendering.py"]
