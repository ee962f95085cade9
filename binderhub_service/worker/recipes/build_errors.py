"""What keeps an image from being built, in one place for all that build; pure."""

from __future__ import annotations

import re

from ...common.terminal import plain
from ...errors import BuildFailed

KILLED = "137"
_LENGTH = 200
# What stands before a program's own words in an engine's log: the step's number, and the seconds since it began.
_BEFORE = re.compile(r"^(?:#\d+ )?(?:\d+\.\d+ )?\s*")
# How pip, apt, conda, mamba, Julia, R, Python and bash say what went wrong.
_SAYS_WHY = re.compile(
    r"(?:ERROR|Error|error|E|fatal|Error during build|[A-Za-z_.]{1,60}(?:Error|Exception|NotFound)): \S|Error in "
    r"|(?:error|critical)\s+libmamba |\S.{0,500}: (?:command )?not found$"
)
# What the engine says of a step, and what pip says besides.
_NO_REASON = re.compile(
    r"failed to (?:solve|build|compute)|did not complete|executor failed|returned a non-zero|subprocess-exited|metadata-generation-failed"
)
_VERSIONS = re.compile(r" \(from versions: [^()]*\)")


def out_of_memory() -> BuildFailed:
    """Return the error of a build whose processes were killed for what they used."""
    return BuildFailed(
        "The build needed more memory than it may use.",
        code="out_of_memory",
        hint="Install fewer or smaller packages, in several steps, or ask an administrator for more memory.",
    )


def said_in(tail: str) -> str:
    """Return what a program said about its failure, as a sentence; empty if the end of a log holds nothing of the kind."""
    lines = (_BEFORE.sub("", plain(line)).strip() for line in tail.splitlines())
    said = next((line for line in lines if _SAYS_WHY.match(line) and not _NO_REASON.search(line)), "")
    return f"It said: {_short(_VERSIONS.sub('', said).rstrip('.'))}. " if said else ""


def failed_instruction(instruction: str, status: str, tail: str = "") -> BuildFailed:
    """Return the error of an instruction of a Dockerfile; the status is empty if there is none.

    Args:
        tail: the end of the log.
    """
    ending = f"failed with exit status {status}" if status else "failed"
    hint = f"{said_in(tail)}The log shows what it printed; correct it." + (" Status 137 often means that memory ran out." if status == KILLED else "")
    return BuildFailed(f"The instruction {_short(instruction)} {ending}.", code="dockerfile_step_failed", hint=hint)


def no_base_image(name: str) -> BuildFailed:
    """Return the error of a base image that is not to be had."""
    return BuildFailed(
        f"The base image {name} could not be pulled.",
        code="base_image_pull_failed",
        hint="Check the name in FROM. If it is right, the registry may be down, or the hub may lack a login for it.",
    )


def invalid_dockerfile(why: str, line: str = "") -> BuildFailed:
    """Return the error of a Dockerfile that is none."""
    where = f" in line {line}" if line else ""
    return BuildFailed(f"The Dockerfile cannot be understood{where}: {_short(why)}.", code="dockerfile_invalid", hint="Correct the Dockerfile.")


def not_built(tail: str = "") -> BuildFailed:
    """Return the error of a build that failed in a way of its own, with what the end of its log says."""
    return BuildFailed("The image could not be built.", code="build_failed", hint=f"{said_in(tail)}The end of the log says why.")


def _short(text: str) -> str:
    return text if len(text) <= _LENGTH else text[: _LENGTH - 1] + "…"
