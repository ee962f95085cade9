"""What a person may ask for, validated in one place however it arrived: by the form, a link, the REST API or a saved server.

Pure: no network, no JupyterHub. Whatever leaves this module can be sent to the service and shown again; validating it
once more gives the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from binderhub_service.common.addresses import check_text, checked_address
from binderhub_service.common.credentials import refuse_credentials
from binderhub_service.common.images import TRANSPORT, check_image
from binderhub_service.common.pasted import take_apart
from binderhub_service.common.paths import check_path, url_path
from binderhub_service.common.refs import check_ref
from binderhub_service.common.refusal import Refused

from .choices import NO_CHOICES, Choices, shown, text_of
from .template import NO_TEMPLATE, TEMPLATE_NAMES, TemplateOptions

NAMES = ("repo", "ref", "path", "provider")
# What BinderHub tells a server of its launch; a server finds each in its environment, in capitals.
BINDERHUB_NAMES = ("binder_launch_host", "binder_ref_url", "binder_request", "binder_persistent_request", "binder_client_ip")
IMAGE_PROVIDER = "image"
PREPARED_PROVIDER = "prepared"
MAX_TOLD_CHARACTERS = 2048

_IGNORED_FIELDS = frozenset({"_xsrf", "display_name"})
_PROVIDER = re.compile(r"[a-z][a-z0-9]{0,31}")


@dataclass(frozen=True)
class RepoOptions:
    """What a server is made from.

    Attributes:
        repo: the repository's address, or that of a page of which only the service knows where the ref ends and the path begins.
        ref: branch, tag or commit; empty for the default branch.
        path: a file (``a/b.ipynb``) or, with a leading slash, a URL path in the server to open; empty for the server's own default.
        provider: which of the service's providers understands `repo`; empty to let the service find out.
        chosen: of each of the operator's choices, what was chosen.
        told: what BinderHub tells a server of its launch, by names of `BINDERHUB_NAMES`.
        template: what the template asks for that names the image.
    """

    repo: str
    ref: str = ""
    path: str = ""
    provider: str = ""
    chosen: Mapping[str, str] = field(default_factory=dict)
    told: Mapping[str, str] = field(default_factory=dict)
    template: TemplateOptions = NO_TEMPLATE

    def as_user_options(self) -> dict[str, str]:
        """Return what the hub stores: ``repo``, ``ref``, ``path``, a ``provider``, what was chosen, what is told, what a template asks for."""
        options = {"repo": self.repo, "ref": self.ref, "path": self.path, **self.chosen, **self.told, **self.template.as_user_options()}
        return options | ({"provider": self.provider} if self.provider else {})

    @property
    def is_page(self) -> bool:
        """Whether `repo` is a page's address, which the service has to take apart."""
        return bool(take_apart(self.repo, self.ref, shorthand=not self.provider).page)

    @property
    def environment(self) -> dict[str, str]:
        """What the server's environment has of them."""
        told = {name.upper(): text for name, text in self.told.items()}
        return {**told, **({"JUPYTERHUB_DEFAULT_URL": self.landing_url} if self.landing_url else {})}

    @property
    def landing_url(self) -> str:
        """The URL path inside the server that `path` means, percent-encoded; empty if `path` is."""
        return url_path(self.path)


def options_from_form(form: Mapping[str, Sequence[Any]], choices: Choices = NO_CHOICES) -> RepoOptions:
    """Return the options in a submitted form, which has a list of texts for each field.

    Raises:
        Refused: they cannot be used.
    """
    return options_from_json(_picked({name: values[0] for name, values in form.items() if values and name not in _IGNORED_FIELDS}), choices)


def _picked(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a form gives, with the prepared environment that is picked in it as what the server is made from."""
    others = {name: value for name, value in given.items() if name != "prepared"}
    name = text_of("prepared", given.get("prepared"))
    if not name:
        return others
    if text_of("repo", given.get("repo")):
        raise Refused("Pick a prepared environment or name a repository, not both.", "Empty one of the two.")
    return {**others, "repo": name, "ref": "", "provider": PREPARED_PROVIDER}


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
    unknown = sorted(set(map(str, given)) - {*known, *BINDERHUB_NAMES, *TEMPLATE_NAMES})
    if "image" in unknown:
        return options_from_json(_of_image(given), choices)
    if unknown:
        names = ", ".join(shown(name) for name in unknown[:5])
        raise Refused(f"There is no such option: {names}.", f"The options are {', '.join(known)}.")
    texts = {name: text_of(name, given.get(name)) for name in NAMES}
    if texts["repo"].startswith(TRANSPORT) and not texts["provider"]:
        texts["provider"] = IMAGE_PROVIDER
    provider = _check_provider(texts["provider"])
    refuse_credentials(*texts.values())
    pasted = take_apart(texts["repo"], texts["ref"], texts["path"], shorthand=not provider)
    refuse_credentials(pasted.repo, pasted.ref, pasted.path, "/".join(pasted.page))
    _check_repo(pasted.repo, provider)
    repo = check_text(pasted.address if pasted.page else pasted.repo)
    template = TemplateOptions.of(given)
    if template != NO_TEMPLATE and provider != IMAGE_PROVIDER:
        raise Refused("Only a server from an image is started as a template says.", f"Leave out {', '.join(TEMPLATE_NAMES)}.")
    return RepoOptions(repo, check_ref(pasted.ref), check_path(pasted.path), provider, choices.check(given), _check_told(given), template)


def _of_image(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a server from an image that is there already; the service's provider of images says which are allowed."""
    others = {name: value for name, value in given.items() if name != "image"}
    if any(others.get(name) for name in ("repo", "ref", "provider")):
        raise Refused("A server is made from an image or from a repository, not from both.", "Leave out image, or repo, ref and provider.")
    return {**others, "repo": f"{TRANSPORT}{check_image(text_of('image', given['image']))}", "provider": IMAGE_PROVIDER}


def _check_repo(repo: str, provider: str) -> None:
    """Check the address; a provider's own short form is left to it, in the service."""
    text = check_text(repo)
    if not provider:
        checked_address(text)


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
