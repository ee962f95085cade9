"""What keeps an image from being built, in one place for all that build; pure."""

from __future__ import annotations

from ...errors import BuildFailed

KILLED = "137"
_LENGTH = 200


def out_of_memory() -> BuildFailed:
    """Return the error of a build whose processes were killed for what they used."""
    return BuildFailed(
        "The build needed more memory than it may use.",
        code="out_of_memory",
        hint="Install fewer or smaller packages, in several steps, or ask an administrator for more memory.",
    )


def failed_instruction(instruction: str, status: str) -> BuildFailed:
    """Return the error of an instruction of a Dockerfile; the status is empty if there is none."""
    ending = f"failed with exit status {status}" if status else "failed"
    hint = "The log shows what it printed; correct it." + (" Status 137 often means that memory ran out." if status == KILLED else "")
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


def not_built() -> BuildFailed:
    """Return the error of a build that failed in a way of its own."""
    return BuildFailed("The image could not be built.", code="build_failed", hint="The end of the log says why.")


def _short(text: str) -> str:
    return text if len(text) <= _LENGTH else text[: _LENGTH - 1] + "…"
