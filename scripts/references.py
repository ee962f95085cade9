"""Write the reference part of docs/configuration.md from the code: traits with their help, and the arguments of `configure`.

python scripts/references.py            write it
python scripts/references.py --check    exit with 1 if it is not current
"""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from traitlets import Bool, Dict, Enum, Float, HasTraits, Int, List, TraitType, Undefined, Unicode, Union

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from binderhub_service.app import BinderService  # noqa: E402  # the clone's own code, wherever this is started
from binderhub_service.modes.docker import DockerMode  # noqa: E402
from binderhub_service.modes.embedded import EmbeddedMode  # noqa: E402
from binderhub_service.modes.kubernetes import KubernetesMode  # noqa: E402
from binderhub_service.modes.repo2docker import Repo2dockerMode  # noqa: E402
from binderhub_service.providers import Provider, shipped_providers  # noqa: E402
from binderhub_service.settings import BuildToken, Cleaning, Launcher, LaunchQuota, LegacyApis, Limits, Pages, Prepared, RateLimiter, Server, UrlGuard  # noqa: E402
from spawner import ProcessSpawner, RepoSpawner, configure  # noqa: E402
from spawner.docker.base import ContainerSpawner  # noqa: E402
from spawner.docker.spawner import DockerRepoSpawner  # noqa: E402
from spawner.kubernetes.spawner import BinderSpawner  # noqa: E402
from spawner.signin import OneTimeLinkAuthenticator  # noqa: E402

PAGE = ROOT / "docs/configuration.md"
MARK = "<!-- Below this line `make docs` writes; change the help texts in the code instead. -->\n"
KINDS: dict[type[TraitType[Any, Any]], str] = {
    Unicode: "text",
    Int: "whole number",
    Float: "number",
    List: "list",
    Bool: "true or false",
    Dict: "dictionary",
    Union: "function, or its name",
}
CLASSES: dict[type[HasTraits], str] = {
    BinderService: "The service. These go into the argument `service` of `configure()`, or into a file of the service's own.",
    Limits: "The service's limits; in the same places.",
    UrlGuard: "Which Git servers may be asked on behalf of people; in the same places.",
    LaunchQuota: "How many servers there may be; in the same places.",
    Launcher: "How servers are launched; in the same places.",
    RateLimiter: "How often `/build` may be asked; in the same places.",
    BuildToken: "By what a page of the service asks `/build`; in the same places.",
    Prepared: "Environments that are built ahead; in the same places.",
    Cleaning: "What the service keeps; in the same places.",
    Server: "What a request may take of the service; in the same places.",
    Pages: "What the service's pages show; in the same places.",
    LegacyApis: "Which APIs of older services there are; in the same places.",
    Provider: "What all providers have; the name of one, such as `GitHubProvider`, may stand in place of this name.",
    **{
        cls: f"The provider `{name}`; it has what `Provider` has, and:"
        for name, cls in shipped_providers().items()
        if cls.class_own_traits(config=True)
    },
    EmbeddedMode: "Embedded mode's part of the service; in the same places.",
    Repo2dockerMode: "What docker and Kubernetes mode share; `DockerMode` or `KubernetesMode` may stand in place of this name.",
    DockerMode: "Docker mode's part of the service; in the same places.",
    KubernetesMode: "Kubernetes mode's part of the service; in the same places.",
    RepoSpawner: "Every spawner of this project. These go into `jupyterhub_config.py`.",
    ProcessSpawner: "The spawner of embedded mode; it has what `RepoSpawner` and JupyterHub's `SimpleLocalProcessSpawner` have, and:",
    DockerRepoSpawner: "The spawner of docker mode; it has what `RepoSpawner` and DockerSpawner have, and:",
    ContainerSpawner: "More of docker mode's spawner; `DockerRepoSpawner` may stand in place of this name.",
    BinderSpawner: "The spawner of Kubernetes mode; it has what `RepoSpawner` and KubeSpawner have but for the choice of an image, and:",
    OneTimeLinkAuthenticator: "The authenticator of `make run`, for one person on their own machine. A hub with people of its own keeps its own.",
}


def with_reference(page: str) -> str:
    """Return the page with its part below the mark as the code is now."""
    by_hand, mark, _ = page.partition(MARK)
    if not mark:
        raise ValueError(f"{PAGE} has lost the line {MARK!r}.")
    return by_hand + mark + reference()


def reference() -> str:
    """Return everything below the mark."""
    sections = [_function(configure), *(_class(cls, text) for cls, text in CLASSES.items())]
    return "\n" + "\n".join(sections)


def _function(function: Callable[..., None]) -> str:
    parameters = inspect.signature(function).parameters
    described = _arguments(inspect.getdoc(function) or "")
    lines = [f"## {function.__module__.partition('.')[0]}.{function.__name__}()\n"]
    for name, text in described.items():
        parameter = parameters[name]
        needed = {parameter.empty: "needed", None: "optional"}.get(parameter.default, f"default `{parameter.default!r}`")
        lines.append(f"### `{name}`\n\n*{needed}*\n\n{text[0].upper()}{text[1:]}\n")
    return "\n".join(lines)


def _arguments(docstring: str) -> dict[str, str]:
    """Return the texts of a docstring's Args by name."""
    block = re.search(r"^Args:\n(?P<lines>(?:[ ]{4,}.*\n|\n)+)", docstring, re.MULTILINE)
    lines = textwrap.dedent(block["lines"] if block else "")
    return {
        match["name"]: " ".join(match["text"].split()) for match in re.finditer(r"^(?P<name>\w+): (?P<text>.+(?:\n[ ]+.+)*)", lines, re.MULTILINE)
    }


def _class(cls: type[HasTraits], text: str) -> str:
    traits: dict[str, TraitType[Any, Any]] = cls.class_own_traits(config=True)
    return "\n".join([f"## {cls.__name__}\n\n{text}\n", *(_trait(cls.__name__, name, trait) for name, trait in traits.items())])


def _trait(owner: str, name: str, trait: TraitType[Any, Any]) -> str:
    help_text = inspect.cleandoc(str(trait.help))
    return f"### `{owner}.{name}`\n\n*{', '.join(_nature(trait, help_text))}*\n\n{help_text}\n"


def _nature(trait: TraitType[Any, Any], help_text: str) -> Iterator[str]:
    """Yield what kind of value it is, and its default unless the help speaks of that."""
    yield (
        "one of " + ", ".join(f"`{value}`" for value in trait.values)
        if isinstance(trait, Enum)
        else next(text for kind, text in KINDS.items() if isinstance(trait, kind))
    )
    if "default" not in help_text.lower() and trait.default_value and trait.default_value is not Undefined:
        yield f"default `{trait.default_value}`"


def main() -> None:
    """Write the page, or check it."""
    written = PAGE.read_text(encoding="utf-8")
    current = with_reference(written)
    if "--check" in sys.argv[1:]:
        sys.exit(None if written == current else f"{PAGE.relative_to(ROOT)} is not current: run `make docs`.")
    PAGE.write_text(current, encoding="utf-8")


if __name__ == "__main__":
    main()
