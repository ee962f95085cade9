"""What a person may ask for, validated in one place however it arrived: by the form, a link, the REST API or a saved server.

Pure: no network, no JupyterHub. Whatever leaves this module can be sent to the service and shown again; validating it
once more gives the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from .choices import CONTROL, NO_CHOICES, Choices, OptionsError, shown, text_of

NAMES = ("repo", "ref", "path", "provider")
MAX_REPO_CHARACTERS = 2048
MAX_REF_CHARACTERS = 255
MAX_PATH_CHARACTERS = 1024
SCHEMES = frozenset({"http", "https", "ssh", "git", "git+ssh"})

_IGNORED_FIELDS = frozenset({"_xsrf", "display_name"})
_SHORTHAND = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+/?")
_HOST_FIRST = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:[0-9]+)?/.+")
_SCP = re.compile(r"(?P<user>[A-Za-z0-9._-]+)@(?P<host>[A-Za-z0-9.-]+):(?P<path>[^\s/].*)")
_PROVIDER = re.compile(r"[a-z][a-z0-9]{0,31}")
_SCHEME_FIRST = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_REF_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\x9f~^:?*\[\\]|\.\.|@\{")
_TOKEN = re.compile(r"gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}")
_SECRET_NAME = re.compile(r"(?i)token|password|passwd|secret|api[_-]?key|auth")
_GITHUB_VIEWS = frozenset({"tree", "blob", "raw", "commit", "commits"})
_HTTPS_TWINS = frozenset({"github.com", "gitlab.com"})


class CredentialsError(OptionsError):
    """There is a token or a password in what was given, so nothing of it may be stored or shown again."""


@dataclass(frozen=True)
class RepoOptions:
    """What a server is made from.

    Attributes:
        repo: the repository's address.
        ref: branch, tag or commit; empty for the default branch.
        path: a file (``a/b.ipynb``) or, with a leading slash, a URL path in the server to open; empty for the server's own default.
        provider: which of the service's providers understands `repo`; empty to let the service find out.
        chosen: of each of the operator's choices, what was chosen.
    """

    repo: str
    ref: str = ""
    path: str = ""
    provider: str = ""
    chosen: Mapping[str, str] = field(default_factory=dict)

    def as_user_options(self) -> dict[str, str]:
        """Return what the hub stores: ``repo``, ``ref``, ``path``, ``provider`` only if there is one, and what was chosen."""
        options = {"repo": self.repo, "ref": self.ref, "path": self.path, **self.chosen}
        return options | ({"provider": self.provider} if self.provider else {})

    @property
    def landing_url(self) -> str:
        """The URL path inside the server that `path` means, percent-encoded; empty if `path` is."""
        if not self.path:
            return ""
        if self.path.startswith("/"):
            return quote(self.path, safe="/%?&=+#:@,;~!$'()*")
        return "/lab/tree/" + quote(self.path)


def options_from_form(form: Mapping[str, Sequence[Any]], choices: Choices = NO_CHOICES) -> RepoOptions:
    """Return the options in a submitted form, which has a list of texts for each field.

    Raises:
        OptionsError: they cannot be used.
    """
    return options_from_json({name: values[0] for name, values in form.items() if values and name not in _IGNORED_FIELDS}, choices)


def options_from_json(given: Mapping[str, Any] | None, choices: Choices = NO_CHOICES) -> RepoOptions:
    """Return the options in a JSON object: a REST request's, or the ones that the hub saved with a server.

    Args:
        choices: what the operator lets people choose besides.

    Raises:
        OptionsError: they cannot be used.
    """
    given = given or {}
    known = [*NAMES, *choices.names]
    unknown = sorted(set(given) - set(known))
    if "image" in unknown:
        raise OptionsError("An image cannot be chosen.", "Name a repository; its image is found or made for you.")
    if unknown:
        names = ", ".join(shown(name) for name in unknown[:5])
        raise OptionsError(f"There is no such option: {names}.", f"The options are {', '.join(known)}.")
    texts = {name: text_of(name, given.get(name)) for name in NAMES}
    provider = _check_provider(texts["provider"])
    _refuse_credentials(*texts.values())
    repo, ref, path = parse_address(texts["repo"], texts["ref"], texts["path"], shorthand=not provider)
    _refuse_credentials(repo, ref, path)
    return RepoOptions(_check_repo(repo, provider), _check_ref(ref), _check_path(path), provider, choices.check(given))


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
    if (scp := _SCP.fullmatch(repo)) and scp["host"].lower() in _HTTPS_TWINS:
        repo = f"https://{scp['host']}/{scp['path']}"
    try:
        url = urlsplit(repo)
        host = (url.hostname or "").removeprefix("www.")
    except ValueError as error:
        raise OptionsError("This is not a repository's address.", "Paste it as your browser shows it, e.g. https://github.com/owner/name.") from error
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


def _refuse_credentials(*texts: str) -> None:
    if any(_has_credentials(text) for text in texts):
        raise CredentialsError(
            "The address has a token or a password in it, which would be stored and shown.",
            "Take it out, revoke it if anybody may have seen it, and ask your administrator how private repositories are reached here.",
        )


def _has_credentials(text: str) -> bool:
    if _TOKEN.search(unquote(text)):
        return True
    scheme, separator, rest = text.partition("://")
    if not separator:
        user, at, _ = text.partition("@")
        return bool(at) and ":" in user and "/" not in user
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    user, at, _ = authority.rpartition("@")
    if at and (":" in user or scheme.lower() not in {"ssh", "git+ssh"}):
        return True
    query = rest.partition("#")[0].partition("?")[2]
    return any(_SECRET_NAME.search(name) for name, _ in parse_qsl(query, keep_blank_values=True))


def _check_repo(repo: str, provider: str) -> str:
    if not repo:
        raise OptionsError("Name a repository.", "Paste its address, e.g. https://github.com/owner/name.")
    if len(repo) > MAX_REPO_CHARACTERS:
        raise OptionsError(f"The repository's address is longer than {MAX_REPO_CHARACTERS} characters.")
    if repo.startswith("-") or re.search(r"\s", repo):
        raise OptionsError("A repository's address neither begins with a dash nor has spaces in it.", "Copy it from the address bar.")
    if provider or _SCP.fullmatch(repo):
        return repo
    url = urlsplit(repo)
    if url.scheme not in SCHEMES or not url.hostname:
        raise OptionsError("This is not a repository's address.", "Paste an address that begins with https://, or a GitHub repository's owner/name.")
    if not url.path.strip("/") or (url.hostname == "github.com" and len(_segments(url.path)) < 2):
        raise OptionsError("The address names a site, but no repository on it.", "Open the repository's page and copy its address.")
    return repo


def _check_ref(ref: str) -> str:
    if len(ref) > MAX_REF_CHARACTERS:
        raise OptionsError(f"The ref is longer than {MAX_REF_CHARACTERS} characters.", "Give the name of a branch or tag, or a commit.")
    if ref.startswith("-") or _REF_FORBIDDEN.search(ref):
        raise OptionsError("No branch, tag or commit can have this name.", "Give its plain name, e.g. main, or nothing for the default branch.")
    return ref


def _check_path(path: str) -> str:
    if len(path) > MAX_PATH_CHARACTERS:
        raise OptionsError(f"The path to open is longer than {MAX_PATH_CHARACTERS} characters.")
    plain = unquote(path)
    if CONTROL.search(plain) or "\\" in plain or "//" in plain or _SCHEME_FIRST.match(plain):
        hint = "Give a file such as notebooks/first.ipynb, or a path such as /lab."
        raise OptionsError("The path to open has to be in the repository or in the server.", hint)
    if ".." in plain.partition("?")[0].split("/"):
        raise OptionsError("The path to open leads out of the repository.", "Give it without '..'.")
    if path.startswith("/"):
        return path
    return "/".join(part for part in path.split("/") if part not in {"", "."})


def _check_provider(provider: str) -> str:
    if provider and not _PROVIDER.fullmatch(provider):
        raise OptionsError("There is no such provider.", "Leave it out, and the address tells.")
    return provider
