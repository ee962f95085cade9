"""What is launched for a template, and what of the template a launch does not honour."""

from __future__ import annotations

from collections.abc import Mapping

from ..common.images import TRANSPORT
from ..errors import InvalidRequest
from ..models import GIVEN_IMAGE, Request, Template


def check_alone(body: Mapping[str, str]) -> None:
    """Raise `InvalidRequest` if a launch of a template names a repository or an image, too."""
    if not body.keys() <= {"template", "path"}:
        raise InvalidRequest("A launch of a template takes its image from the template.", hint="Leave out image, repo, ref and provider.")


def request_of(template: Template) -> Request:
    """Return the request for a template's image, which the operator has to allow as any image that is launched by name."""
    return Request(repo=f"{TRANSPORT}{template.image.removeprefix(TRANSPORT)}", provider=GIVEN_IMAGE)


def not_honoured(template: Template) -> list[str]:
    """Return a sentence for each thing that a template asks for and a launch does not do."""
    sentences = {
        "The template's command is not run: servers start as the spawner starts them.": template.command,
        "The template's memory limit is not set: the operator's limits apply.": template.memory,
        "The template's CPU shares are not set: the operator's limits apply.": template.cpu_shares,
    }
    return [sentence for sentence, asked in sentences.items() if asked]
