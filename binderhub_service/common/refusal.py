"""What is said when something that was asked for cannot be used."""

from __future__ import annotations

import re

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Refused(ValueError):
    """What was asked for cannot be used.

    Attributes:
        message: one sentence that says what is wrong; it never repeats a credential.
        hint: what to do about it; may be empty.
        code: a stable word for programs.
    """

    def __init__(self, message: str, hint: str = "", *, code: str = "invalid_request") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code

    @property
    def sentence(self) -> str:
        """The message and the hint, for people."""
        return f"{self.message} {self.hint}".strip()


def is_text(text: str) -> bool:
    """Say whether a text can be written as UTF-8: half a surrogate pair cannot, and so reaches no process, file or database."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
