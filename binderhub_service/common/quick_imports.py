"""Some libraries do work when they are imported that next to no server, service or client needs. Here they are kept from it.

They are imported all the same, and are what they were to everything that uses them; nothing of an environment is changed:

- ``rfc3987_syntax`` (by way of jupyter-events and jsonschema) makes a parser of a large grammar, 1.5 s of a processor, to check values of the
  format "iri" in JSON schemas. The parser is made when the first value is checked, or anything else of the package is used.
- ``jupyterlab.labapp`` runs yarn where there is a node, 0.4 s, to learn from which registry JavaScript would be installed, and forgets the answer:
  it wants its own version. While it is imported, no program is found; afterwards yarn is asked as before.
- ``httpx`` imports its own command line, and with it click, pygments and rich where they are installed: 0.1 s, twice of what it takes itself.
  They are imported when that command line is used.
- In a server, ``jupyterhub.log`` imports the hub's own pages, handlers and models of its database, 0.5 s, to tell one of the pages from others in
  its log, which no server has. They are imported when something else of them is used.

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
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType

Load = Callable[[importlib.abc.Loader, ModuleType], None]
"""Loads a module, given its usual loader."""
_LOG, _PAGE = "jupyterhub.log", "HealthCheckHandler"


def install(program: str = "") -> None:
    """Let this process import them quickly, from now on.

    Args:
        program: the program that it runs; a server has less of JupyterHub than a hub.
    """
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder({**_QUICK, **(_QUICK_IN_SERVERS if os.path.basename(program) == _SERVER else {})}))  # noqa: PTH119


class _Finder(importlib.abc.MetaPathFinder):
    """Finds modules where they are, and nothing else.

    Args:
        quick: how each is loaded.
    """

    def __init__(self, quick: Mapping[str, Load]) -> None:
        self._quick = quick

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> importlib.machinery.ModuleSpec | None:
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target) if fullname in self._quick else None
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self._quick[fullname])
        return spec


class _Loader(importlib.abc.Loader):
    """Loads a module in a way of its own; afterwards the module's loader is the usual one."""

    def __init__(self, usual: importlib.abc.Loader, load: Load) -> None:
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


class _PagesNotYetLoaded(_NotYetLoaded):
    """The hub's pages, of which JupyterHub's log gets a class that stands for one of theirs."""

    def __getattr__(self, name: str) -> object:
        if name == _PAGE and sys._getframe(1).f_globals.get("__name__") == _LOG:
            return _NoneYet(name, (), {"__module__": self.__name__})
        return super().__getattr__(name)


class _NoneYet(type):
    """The type of a class that stands for one of a module that is not loaded: until it is, nothing is an instance of it."""

    def __instancecheck__(cls, instance: object) -> bool:
        there = vars(sys.modules[cls.__module__]).get(cls.__name__)
        return there is not None and isinstance(instance, there)


def _put_off(kind: type[ModuleType]) -> Load:
    """Return what loads a module when anything of it is used, which is of this class before that."""

    def load(_: importlib.abc.Loader, module: ModuleType) -> None:
        module.__class__ = kind

    return load


def _load_when_used(function: str) -> Load:
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
_SERVER = "jupyterhub-singleuser"
_QUICK_IN_SERVERS = {
    "jupyterhub.handlers": _put_off(_NotYetLoaded),
    "jupyterhub.handlers.pages": _put_off(_PagesNotYetLoaded),
    "jupyterhub.orm": _put_off(_NotYetLoaded),
}


def main() -> None:
    """Run the program that the arguments name, quickly."""
    program = sys.argv[1]
    sys.argv[:2] = [program]
    sys.path[0] = os.path.dirname(program)  # noqa: PTH120  # Python's own library alone, and as little of it as there can be
    install(program)
    runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    main()
