"""What a person may ask for, validated in one place however it arrived: by the form, a link, the REST API or a saved server.

Pure: no network, no JupyterHub. Whatever leaves this module can be sent to the service and shown again; validating it
once more gives the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from binderhub_service.common.addresses import SCP, check_text, checked_address, split
from binderhub_service.common.credentials import refuse_credentials
from binderhub_service.common.paths import check_path, url_path
from binderhub_service.common.refs import check_ref
from binderhub_service.common.refusal import Refused

from .choices import NO_CHOICES, Choices, shown, text_of

NAMES = ("repo", "ref", "path", "provider")
# What BinderHub tells a server of its launch; a server finds each in its environment, in capitals.
BINDERHUB_NAMES = ("binder_launch_host", "binder_ref_url", "binder_request", "binder_persistent_request", "binder_client_ip")
MAX_TOLD_CHARACTERS = 2048

_IGNORED_FIELDS = frozenset({"_xsrf", "display_name"})
_SHORTHAND = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+/?")
_HOST_FIRST = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:[0-9]+)?/.+")
_PROVIDER = re.compile(r"[a-z][a-z0-9]{0,31}")
_GITHUB_VIEWS = frozenset({"tree", "blob", "raw", "commit", "commits"})
_HTTPS_TWINS = frozenset({"github.com", "gitlab.com"})


@dataclass(frozen=True)
class RepoOptions:
    """What a server is made from.

    Attributes:
        repo: the repository's address.
        ref: branch, tag or commit; empty for the default branch.
        path: a file (``a/b.ipynb``) or, with a leading slash, a URL path in the server to open; empty for the server's own default.
        provider: which of the service's providers understands `repo`; empty to let the service find out.
        chosen: of each of the operator's choices, what was chosen.
        told: what BinderHub tells a server of its launch, by names of `BINDERHUB_NAMES`.
    """

    repo: str
    ref: str = ""
    path: str = ""
    provider: str = ""
    chosen: Mapping[str, str] = field(default_factory=dict)
    told: Mapping[str, str] = field(default_factory=dict)

    def as_user_options(self) -> dict[str, str]:
        """Return what the hub stores: ``repo``, ``ref``, ``path``, ``provider`` only if there is one, what was chosen, and what is told."""
        options = {"repo": self.repo, "ref": self.ref, "path": self.path, **self.chosen, **self.told}
        return options | ({"provider": self.provider} if self.provider else {})

    @property
    def landing_url(self) -> str:
        """The URL path inside the server that `path` means, percent-encoded; empty if `path` is."""
        return url_path(self.path)


def options_from_form(form: Mapping[str, Sequence[Any]], choices: Choices = NO_CHOICES) -> RepoOptions:
    """Return the options in a submitted form, which has a list of texts for each field.

    Raises:
        Refused: they cannot be used.
    """
    return options_from_json({name: values[0] for name, values in form.items() if values and name not in _IGNORED_FIELDS}, choices)


def options_from_json(given: Mapping[str, Any] | None, choices: Choices = NO_CHOICES) -> RepoOptions:
    """Return the options in a JSON object: a REST request's, or the ones that the hub saved with a server.

    Args:
        choices: what the operator lets people choose besides.

    Raises:
        Refused: they cannot be used.
    """
    given = {} if given is None else given
    if not isinstance(given, Mapping):
        raise Refused("The options have to be an object.", f"The options are {', '.join([*NAMES, *choices.names])}.")
    known = [*NAMES, *choices.names]
    unknown = sorted(set(map(str, given)) - {*known, *BINDERHUB_NAMES})
    if "image" in unknown:
        raise Refused("An image cannot be chosen.", "Name a repository; its image is found or made for you.")
    if unknown:
        names = ", ".join(shown(name) for name in unknown[:5])
        raise Refused(f"There is no such option: {names}.", f"The options are {', '.join(known)}.")
    texts = {name: text_of(name, given.get(name)) for name in NAMES}
    provider = _check_provider(texts["provider"])
    refuse_credentials(*texts.values())
    repo, ref, path = parse_address(texts["repo"], texts["ref"], texts["path"], shorthand=not provider)
    refuse_credentials(repo, ref, path)
    return RepoOptions(_check_repo(repo, provider), check_ref(ref), check_path(path), provider, choices.check(given), _check_told(given))


def parse_address(repo: str, ref: str = "", path: str = "", *, shorthand: bool = True) -> tuple[str, str, str]:
    """Take a pasted address apart; return repository, ref and path.

    A page of GitHub or GitLab names a repository and often a ref and a path, too; they fill in what the person left
    empty. A branch's name may have slashes, which the address does not tell: the first part is taken, unless the person
    gave a ref with which it goes on.

    Args:
        repo: what was pasted.
        ref: the ref that was typed, if any.
        path: the path that was typed, if any.
        shorthand: whether ``o/r`` means a repository on GitHub.
    """
    repo = repo.strip()
    if shorthand and _SHORTHAND.fullmatch(repo) and not _HOST_FIRST.fullmatch(repo):
        repo = f"https://github.com/{repo}"
    elif _HOST_FIRST.fullmatch(repo) and (shorthand or repo.count("/") > 1):
        repo = f"https://{repo}"
    if (scp := SCP.fullmatch(repo)) and scp["host"].lower() in _HTTPS_TWINS:
        repo = f"https://{scp['host']}/{scp['path']}"
    try:
        url = urlsplit(repo)
        host = (url.hostname or "").removeprefix("www.")
    except ValueError as error:
        raise Refused("This is not a repository's address.", "Paste it as your browser shows it, e.g. https://github.com/owner/name.") from error
    if url.scheme not in {"http", "https"}:
        return repo, ref, path
    if host == "github.com":
        return _parse_github(url, ref, path)
    if "/-/" in url.path or host == "gitlab.com":
        return _parse_gitlab(url, ref, path)
    return repo.rstrip("/"), ref, path


def _parse_github(url: SplitResult, ref: str, path: str) -> tuple[str, str, str]:
    owner, name, view, *rest = [*_segments(url.path), "", "", ""][: max(3, len(_segments(url.path)))]
    repo = "https://github.com/" + "/".join(part for part in (owner, name.removesuffix(".git")) if part)
    return repo, *_ref_and_path(rest if view in _GITHUB_VIEWS else [], ref, path)


def _parse_gitlab(url: SplitResult, ref: str, path: str) -> tuple[str, str, str]:
    project, _, page = url.path.partition("/-/")
    name = project.rstrip("/")
    if page or url.hostname == "gitlab.com":
        name = name.removesuffix(".git")
    view, *rest = _segments(page) or [""]
    return f"{url.scheme}://{url.netloc}{name}", *_ref_and_path(rest if view in _GITHUB_VIEWS else [], ref, path)


def _ref_and_path(segments: Sequence[str], ref: str, path: str) -> tuple[str, str]:
    parts = [unquote(segment) for segment in segments]
    typed = [part for part in ref.strip().split("/") if part]
    if typed and parts[: len(typed)] == typed:
        return ref, path or "/".join(parts[len(typed) :])
    if typed or not parts:
        return ref, path
    return parts[0], path or "/".join(parts[1:])


def _segments(path: str) -> list[str]:
    return [segment for segment in path.split("/") if segment]


def _check_repo(repo: str, provider: str) -> str:
    """Return the address; a provider's own short form is left to it, in the service."""
    text = check_text(repo)
    if not provider:
        checked_address(text)
        url = split(text)
        if url is not None and url.hostname == "github.com" and len(_segments(url.path)) < 2:
            raise Refused("The address names a site, but no repository on it.", "Open the repository's page and copy its address.")
    return text


def _check_told(given: Mapping[str, Any]) -> dict[str, str]:
    told = {name: text for name in BINDERHUB_NAMES if (text := text_of(name, given.get(name)))}
    refuse_credentials(*told.values())
    for name, text in told.items():
        if len(text) > MAX_TOLD_CHARACTERS:
            raise Refused(f"The option {name} is longer than {MAX_TOLD_CHARACTERS} characters.")
    return told


def _check_provider(provider: str) -> str:
    if provider and not _PROVIDER.fullmatch(provider):
        raise Refused("There is no such provider.", "Leave it out, and the address tells.")
    return provider
