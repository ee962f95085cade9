"""Are the settings that somebody wrote settings of this service? A name that nothing knows would otherwise have no effect, without a word."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

from traitlets import TraitError
from traitlets.config import Config, Configurable
from traitlets.config.application import LevelFormatter

from ..errors import Unavailable

_THEN = "Correct them, then start the hub again."  # in the message, which is all that is said while the service starts


def problems(config: Config, classes: Iterable[type[Configurable]], elsewhere: Iterable[str] = ()) -> list[str]:
    """Return a sentence for everything in a configuration that is no setting.

    Args:
        classes: those that have settings; their parents' names may be used as well.
        elsewhere: names of classes that are not imported here and whose settings are not looked at.
    """
    known = {base.__name__: base for cls in classes for base in cls.mro() if issubclass(base, Configurable)}
    return [sentence for name in config for sentence in _in_section(name, config[name], known, set(elsewhere))]


def instance_problems(config: Config, classes: Iterable[type[Configurable]]) -> list[str]:
    """Return a sentence for every class whose settings have values that it does not take."""
    found = []
    for cls in classes:
        try:
            with warnings.catch_warnings(action="ignore", category=UserWarning):  # names are for `problems` to tell
                cls(config=config)
        except TraitError as error:
            found.append(sentence_of(error))
    return found


def try_format(line_format: str) -> None:
    """Raise `KeyError`, `TypeError` or `ValueError` if no line of the log can be written in this format."""
    record = logging.LogRecord("", logging.INFO, "", 0, "", (), None)
    LevelFormatter(line_format).format(record)


def wrong_settings(found: Iterable[str]) -> Unavailable:
    """Return the error of a service that cannot start for these reasons, each a sentence."""
    return Unavailable(f"The settings of this service are wrong. {' '.join(found)} {_THEN}", code="service_starting")


@contextmanager
def setting_errors_converted() -> Iterator[None]:
    """Convert what traitlets says of a value that no setting takes.

    Raises:
        Unavailable: a setting has such a value.
    """
    try:
        yield
    except TraitError as error:
        raise wrong_settings([sentence_of(error)]) from error


def sentence_of(error: BaseException) -> str:
    """Return what a mistake in settings is, without the value that was given, which may be a secret."""
    if isinstance(error, SyntaxError):
        return f"{error.msg} (line {error.lineno} of {error.filename})."
    said = str(error).partition(", not ")[0].rstrip(".")
    return f"{said}." if isinstance(error, TraitError | SystemExit) else f"{type(error).__name__}: {said}."


def _in_section(name: str, section: object, known: dict[str, type[Configurable]], elsewhere: set[str]) -> Iterator[str]:
    if not isinstance(section, Config) or name in elsewhere:
        return
    if name not in known:
        yield f"There is no class {name} with settings here.{_nearest(name, known.keys() | elsewhere)}"
        return
    traits = known[name].class_trait_names(config=True)
    for setting in section:
        if setting not in traits:
            yield f"{name} has no setting {setting}.{_nearest(setting, traits)}"


def _nearest(name: str, names: Iterable[str]) -> str:
    nearest = get_close_matches(name, list(names), n=1)
    return f" Did you mean {nearest[0]}?" if nearest else ""
