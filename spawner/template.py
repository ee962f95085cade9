"""What a template asks for of a server from its image; pure.

The options come from the service, but anybody can send them to the hub: a command is what the server's
owner could run in it later, and limits are upper bounds below the operator's.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from binderhub_service.common.refusal import Refused

from .choices import text_of

COMMAND, MEMORY, CPU_SHARES = TEMPLATE_NAMES = ("template_command", "template_memory", "template_cpu_shares")
# What a container has that is given none (Docker, and a processor of Kubernetes').
USUAL_SHARES = 1024
_MAX_COMMAND_CHARACTERS = 4096
_MAX_DIGITS = 19


@dataclass(frozen=True)
class TemplateOptions:
    """What a template asks for.

    Attributes:
        command: what to start in place of the operator's command; empty for that.
        memory_bytes: how much memory the server may have; 0 for what the operator says.
        cpu_shares: its share of the processors, of `USUAL_SHARES`; 0 for what the operator says.
    """

    command: str = ""
    memory_bytes: int = 0
    cpu_shares: int = 0

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> TemplateOptions:
        """Return what options say; raises `Refused`."""
        command = text_of(COMMAND, given.get(COMMAND))
        if len(command) > _MAX_COMMAND_CHARACTERS:
            raise Refused(f"The template's command is longer than {_MAX_COMMAND_CHARACTERS} characters.")
        try:
            shlex.split(command)
        except ValueError:
            raise Refused("The template's command has a quotation mark without its other.", "Correct the template.") from None
        return cls(command, _number(MEMORY, given.get(MEMORY)), _number(CPU_SHARES, given.get(CPU_SHARES)))

    def as_user_options(self) -> dict[str, str]:
        """Return what the hub stores, which is nothing for what is not asked for."""
        texts = {COMMAND: self.command, MEMORY: str(self.memory_bytes or ""), CPU_SHARES: str(self.cpu_shares or "")}
        return {name: text for name, text in texts.items() if text}

    @property
    def words(self) -> Sequence[str]:
        """The command, taken apart as a shell does."""
        return shlex.split(self.command)

    def memory_limit(self, operators: int | None) -> int:
        """Return how many bytes of memory the server may have; 0 for any number.

        Args:
            operators: the operator's limit; None or 0 for none.
        """
        return min([bytes_ for bytes_ in (operators, self.memory_bytes) if bytes_], default=0)

    @property
    def shares(self) -> int:
        """The server's shares, which are no more than others have; 0 for what the operator says."""
        return min(self.cpu_shares, USUAL_SHARES)


NO_TEMPLATE = TemplateOptions()


def _number(name: str, value: Any) -> int:
    text = text_of(name, value)
    if text and not (text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS):
        raise Refused(f"The option {name} has to be a whole number.")
    return int(text or 0)
