"""How buildah is asked for an image: in a chroot, without a daemon and without privileges."""

from __future__ import annotations

from collections.abc import Mapping

_BUILD = ("buildah", "bud", "--isolation=chroot", "--cap-drop=CAP_SYS_CHROOT", "--layers", "--format=docker")
# With the capability, root leaves a chroot; the format keeps SHELL and HEALTHCHECK.


def build_command(
    folder: str, image: str, arguments: Mapping[str, str], labels: Mapping[str, str], *, platform: str = "", dockerfile: str = ""
) -> list[str]:
    """Return the command that builds an image of what is in a folder.

    Args:
        arguments: what the Dockerfile is told.
        platform: for which machines; empty for this one's kind.
        dockerfile: which it is; empty for the one at the folder's root.
    """
    command = [*_BUILD, f"--tag={image}"]
    command += [f"--build-arg={name}={value}" for name, value in arguments.items()]
    command += [f"--label={name}={value}" for name, value in labels.items()]
    command += [f"--platform={platform}"] if platform else []
    command += [f"--file={dockerfile}"] if dockerfile else []
    return [*command, folder]
