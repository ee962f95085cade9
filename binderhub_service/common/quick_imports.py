"""Three libraries do work when they are imported that next to no server, service or client needs. Here they are kept from it.

They are imported all the same, and are what they were to everything that uses them; nothing of an environment is changed:

- ``rfc3987_syntax`` (by way of jupyter-events and jsonschema) makes a parser of a large grammar, 1.5 s of a processor, to check values of the
  format "iri" in JSON schemas. The parser is made when the first value is checked, or anything else of the package is used.
- ``jupyterlab.labapp`` runs yarn where there is a node, 0.4 s, to learn from which registry JavaScript would be installed, and forgets the answer:
  it wants its own version. While it is imported, no program is found; afterwards yarn is asked as before.
- ``httpx`` imports its own command line, and with it click, pygments and rich where they are installed: 0.1 s, twice of what it takes itself.
  They are imported when that command line is used.

This file needs nothing but Python's own library, in any version that runs a server, since it is also run with the Python of an environment::

    python quick_imports.py PROGRAM ARGUMENT...

That runs a program written in Python, as that Python would run it.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import runpy
import sys
from collections.abc import Callable, Sequence
from types import ModuleType


def install() -> None:
    """Let this process import the three quickly, from now on."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the three where they are, and nothing else."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> importlib.machinery.ModuleSpec | None:
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target) if fullname in _QUICK else None
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, _QUICK[fullname])
        return spec


class _Loader(importlib.abc.Loader):
    """Loads a module in a way of its own; afterwards the module's loader is the usual one."""

    def __init__(self, usual: importlib.abc.Loader, load: Callable[[importlib.abc.Loader, ModuleType], None]) -> None:
        self._usual = usual
        self._load = load

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._usual.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._usual
        if module.__spec__ is not None:
            module.__spec__.loader = self._usual
        self._load(self._usual, module)


class _NotYetLoaded(ModuleType):
    """A module that is loaded when something is wanted of it that it has not."""

    def __getattr__(self, name: str) -> object:
        if name == "__path__":  # Python asks for it whenever it imports something from a module; a package has it
            raise AttributeError(name)
        _load_now(self)
        return getattr(self, name)


def _load_now(module: ModuleType) -> None:
    usual = module.__loader__
    if isinstance(usual, importlib.abc.Loader) and module.__class__ is not ModuleType:
        module.__class__ = ModuleType
        usual.exec_module(module)


def _load_when_used(function: str) -> Callable[[importlib.abc.Loader, ModuleType], None]:
    """Return what loads a module when this function of it is called, which others import by its name, or anything else of it is used."""

    def load(_: importlib.abc.Loader, module: ModuleType) -> None:
        def load_and_call(*arguments: object) -> object:
            _load_now(module)
            return vars(module)[function](*arguments)

        vars(module)[function] = load_and_call
        module.__class__ = _NotYetLoaded

    return load


def _load_without_programs(usual: importlib.abc.Loader, module: ModuleType) -> None:
    path = os.environ.get("PATH")
    os.environ["PATH"] = os.devnull  # no folder; without the variable, the usual folders would be searched
    try:
        usual.exec_module(module)
    finally:
        del os.environ["PATH"]
        if path is not None:
            os.environ["PATH"] = path


_QUICK = {
    "rfc3987_syntax": _load_when_used("is_valid_syntax"),
    "httpx._main": _load_when_used("main"),
    "jupyterlab.labapp": _load_without_programs,
}


def main() -> None:
    """Run the program that the arguments name, quickly."""
    program = sys.argv[1]
    sys.argv[:2] = [program]
    sys.path[0] = os.path.dirname(program)  # noqa: PTH120  # Python's own library alone, and as little of it as there can be
    install()
    runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    main()
