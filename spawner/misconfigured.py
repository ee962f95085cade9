"""What is wrong with a hub's configuration, in one sentence."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ParamSpec

from traitlets import TraitError
from traitlets.config import Config

P = ParamSpec("P")
# What the arguments of `configure` may be, by how their annotations are written.
_TYPES: dict[str, tuple[type, ...]] = {
    "Config": (Config,),
    "str": (str,),
    "str | Path": (str, Path),
    "bool": (bool,),
    "int | None": (int, type(None)),
    "Mapping[str, Mapping[str, Any]] | None": (Mapping, type(None)),
}


class Misconfigured(TraitError, ValueError):
    """A configuration with which no hub can start.

    JupyterHub shows a `TraitError` that ends its start as one line, and any other error with a traceback.
    """


def checking_arguments(function: Callable[P, None]) -> Callable[P, None]:
    """Return a function that raises `Misconfigured` where its arguments are not those that it takes, by number, names and types."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            known = ", ".join(list(signature.parameters)[1:])
            raise Misconfigured(f"{function.__name__}() cannot be called so: {error}. It takes: {known}.") from None
        for name, value in given.items():
            _check_type(function.__name__, name, value, str(signature.parameters[name].annotation))
        function(*args, **kwargs)

    return checked


def _check_type(function: str, name: str, value: Any, annotation: str) -> None:
    types = _TYPES.get(annotation)
    is_bool_for_number = isinstance(value, bool) and types is not None and bool not in types
    if types and (not isinstance(value, types) or is_bool_for_number):
        raise Misconfigured(f"{function}({name}={value!r}): the value has to be {annotation.replace('Mapping', 'mapping')}.")
    if isinstance(value, Mapping) and name == "service" and not all(isinstance(settings, Mapping) for settings in value.values()):
        raise Misconfigured(f'{function}({name}={value!r}): name settings by class, e.g. {{"Limits": {{"running": 4}}}}.')
