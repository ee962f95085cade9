"""The fields of the spawn form, and what they are filled with before the person types."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup, escape
from tornado.httputil import HTTPServerRequest

from binderhub_service.common.credentials import has_credentials
from binderhub_service.common.refusal import Refused

from .choices import NO_CHOICES, Choices
from .options import NAMES, PREPARED_PROVIDER, options_from_json
from .prepared import NOTHING_PREPARED, PreparedList

# Begins the names of fields that stand beside an operator's own.
PREFIX = "binder-"
# What the person whose request is being answered has typed, or followed a link with. It belongs to the request and not to
# the spawner: the hub shows the form of the default server, whichever server the request was about.
_TYPED: ContextVar[Mapping[str, str] | None] = ContextVar("typed", default=None)
_LINKED: ContextVar[bool] = ContextVar("linked", default=False)


def remember(typed: Mapping[str, str] | None, *, linked: bool = False) -> None:
    """Keep what was typed for the form that the same request may end with.

    Args:
        typed: the fields; None if nothing was.
        linked: whether it came with a link, so that nothing but the form can say what is wrong with it.
    """
    _TYPED.set(typed)
    _LINKED.set(linked)


def take_link(request: HTTPServerRequest, choices: Choices = NO_CHOICES) -> None:
    """Take our arguments out of a link's query, also with the prefix ``opt-``, and remember them for the form.

    The hub starts a server at once when it finds anything in the query, so a link by a stranger would run the stranger's
    code; once the query is empty, the hub shows the form.
    """
    taken: dict[str, str] = {}
    for name in (*NAMES, *choices.names):
        for key in (name, f"opt-{name}"):
            values = request.query_arguments.pop(key, [])
            if values:
                taken[name] = values[0].decode("utf-8", "replace")
    if any(has_credentials(value) for value in taken.values()):
        request.uri = request.path  # the hub repeats the address in the page and in its log
    request.query_arguments.pop("_xsrf", None)
    remember(taken or None, linked=True)


def is_about_repository() -> bool:
    """Say whether the request that is being answered brought a repository, by a link or in the form."""
    return "repo" in (_TYPED.get() or {})


def link_names_repository(request: HTTPServerRequest) -> bool:
    """Say whether a link's query has a repository in it."""
    return bool({"repo", "opt-repo"} & request.query_arguments.keys())


def parted(form_data: Mapping[str, Sequence[Any]]) -> tuple[dict[str, Sequence[Any]], dict[str, Sequence[Any]]]:
    """Return the fields of the section beside another form, without their prefix, and that form's own."""
    section = {name.removeprefix(PREFIX): values for name, values in form_data.items() if name.startswith(PREFIX)}
    return section, {name: values for name, values in form_data.items() if not name.startswith(PREFIX)}


def render(
    saved: Mapping[str, Any],
    choices: Choices = NO_CHOICES,
    beside: str = "",
    notices: Sequence[str] = (),
    prepared: PreparedList = NOTHING_PREPARED,
    **places: str,
) -> str:
    """Return the form's fields as HTML, filled with what was typed in this request, else with `saved` if that is valid still.

    Args:
        saved: the options that the hub has stored with the server.
        choices: what the operator lets people choose besides.
        beside: what the fields stand beside: nothing, another ``form``, in which names may be the same and the repository may be left out, or
            another form that has the ``choices``, too.
        notices: what the person should know, in sentences.
        prepared: the environments that may be picked in place of a repository.
        places: what the script needs to know: ``service``, ``hub``, ``user`` and ``server``.
    """
    typed = _TYPED.get()
    given = saved if typed is None else typed
    problem = ""
    try:
        options = options_from_json(given, choices)
        fields: Mapping[str, str] = {"provider": "", **options.as_user_options()}
    except Refused as error:
        fields = {name: value for name, value in (typed or {}).items() if not has_credentials(value)}
        problem = error.sentence
    picked = str(fields.get("repo", "") if fields.get("provider") == PREPARED_PROVIDER else fields.get("prepared", ""))
    if fields.get("provider") == PREPARED_PROVIDER:
        fields = {**fields, "repo": "", "provider": ""}
    shown = problem if typed is not None and _LINKED.get() else ""
    chosen = _chosen(given, choices)
    return _template().render(
        {name: str(fields.get(name, "")) for name in NAMES},
        selects=choices.selects,
        chosen=chosen,
        more=_OperatorsHTML("" if beside == "choices" else choices.form(chosen)),
        beside=beside,
        prepared=prepared,
        picked=picked,
        prefix=PREFIX if beside else "",
        problem=shown,
        notices=notices,
        **places,
    )


class _OperatorsHTML(str):
    """What the operator has written, which goes into the form as it is."""


def _chosen(given: Mapping[str, Any], choices: Choices) -> dict[str, str]:
    try:
        return choices.check(given) if given else {}
    except Refused:
        return {}


@functools.cache
def _template() -> jinja2.Template:
    text = resources.files(__package__).joinpath("form.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, finalize=_inert)
    return environment.from_string(text)


def _inert(value: object) -> Markup:
    """Return `value` as HTML in which nothing is markup, neither now nor if somebody renders the form as a template again."""
    if isinstance(value, _OperatorsHTML):
        return Markup(value)  # noqa: S704  (the operator's own)
    return Markup(str(escape(value)).replace("{", "&#123;").replace("}", "&#125;"))  # noqa: S704  (escaped, then made stricter)
