"""How repo2docker is called, wherever it builds: its configuration, its options, what its end means."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..image_settings import ImageSettings

_LABEL_UNSAFE = re.compile(r"[^A-Za-z0-9 ._~:/?#@!&()*+,;=%-]")


def write_configuration(file: Path, settings: ImageSettings, values: Mapping[str, object], more: Sequence[str] = ()) -> None:
    """Write repo2docker's configuration, a Python file; values enter it as literals only.

    Args:
        values: settings of the application beyond those that shape images.
        more: whole lines.
    """
    lines = ["from repo2docker.contentproviders import Local", "c.Repo2Docker.content_providers = [Local]"]
    shaping = {"base_image": settings.base_image, "appendix": settings.appendix, "extra_build_args": dict(settings.build_arguments)}
    lines += [f"c.Repo2Docker.{name} = {value!r}" for name, value in (shaping | dict(values)).items() if value]
    file.write_text("\n".join([*lines, *more]) + "\n")


def safe_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return labels without what could be read as more than text where they are written into a Dockerfile."""
    return {name: _LABEL_UNSAFE.sub("_", value) for name, value in labels.items()}


def build_command(
    program: str, configuration: Path, settings: ImageSettings, folder: Path, image: str, commit: str, labels: Mapping[str, str], engine: str = ""
) -> list[str]:
    """Return the command that builds an image of what is in a folder; nothing of a repository's is taken for an option."""
    words = [program, f"--config={configuration}", "--json-logs", "--no-run", "--no-push"]
    words += [f"--user-name={settings.user_name}", f"--user-id={settings.user_id}", f"--ref={commit}", f"--image-name={image}"]
    words += [f"--label={name}={value}" for name, value in safe_labels(labels).items()]
    words += [f"--engine={engine}"] if engine else []
    return [*words, *settings.repo2docker_arguments, str(folder)]
