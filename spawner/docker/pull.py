"""What an engine tells while it pulls an image, as a few lines for people, and why it could not; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..rejection import FAILED_DEPENDENCY, Rejection

EVERY_SECONDS = 2.0
_MEGABYTE = 1_000_000
_DONE = frozenset({"Pull complete", "Already exists"})
# What engines and registries say, by what it means.
_REFUSED = ("unauthorized", "denied", "authentication required", "no basic auth", "forbidden", "incorrect username or password")
_MISSING = ("not found", "manifest unknown", "no such manifest", "name unknown")
DISK_FULL = "no space left on device"


@dataclass
class _Layer:
    done: bool = False
    current_bytes: int = 0
    total_bytes: int = 0


class PullProgress:
    """Sums up what the engine says about each layer."""

    def __init__(self) -> None:
        self._layers: dict[str, _Layer] = {}
        self._told = ""
        self._told_at = float("-inf")

    def hear(self, message: Mapping[str, Any], now_seconds: float) -> str:
        """Take a message of the engine's; return a line for people, or nothing while there is little new.

        Args:
            message: as the engine sends it.
            now_seconds: a clock's time that only goes forward.
        """
        name, status = message.get("id"), message.get("status")
        if not isinstance(name, str) or status not in {"Pulling fs layer", "Waiting", "Downloading", "Download complete", "Extracting", *_DONE}:
            return ""
        layer = self._layers.setdefault(name, _Layer())
        layer.done = status in _DONE
        if status == "Downloading":
            detail = message.get("progressDetail") or {}
            layer.current_bytes, layer.total_bytes = int(detail.get("current") or 0), int(detail.get("total") or 0)
        elif status != "Pulling fs layer" and status != "Waiting":
            layer.current_bytes = layer.total_bytes
        if now_seconds - self._told_at < EVERY_SECONDS or self.line == self._told:
            return ""
        self._told, self._told_at = self.line, now_seconds
        return self.line

    @property
    def line(self) -> str:
        """How far it is."""
        layers = self._layers.values()
        done = sum(layer.done for layer in layers)
        current, total = sum(layer.current_bytes for layer in layers), sum(layer.total_bytes for layer in layers)
        loaded = f", {current / _MEGABYTE:.0f} of {total / _MEGABYTE:.0f} MB" if total else ""
        return f"Pulling the image: {done} of {len(layers)} layers{loaded}."


def pull_problem(said: str, image: str) -> Rejection:
    """Return why there is no server, from what the engine said about a pull that failed."""
    registry, words = image.partition("/")[0], said.lower()
    if DISK_FULL in words:
        return disk_full()
    if any(word in words for word in _REFUSED):
        return Rejection(FAILED_DEPENDENCY, f"The registry {registry} does not let this hub pull the image. Ask an administrator to check its login.")
    if any(word in words for word in _MISSING):
        return gone()
    return Rejection(FAILED_DEPENDENCY, f"The image could not be pulled from {registry}: {said} Ask an administrator to look at the registry.")


def may_pass(said: str) -> bool:
    """Say whether trying again may help: there is no word of an image that is missing or refused."""
    return not any(word in said.lower() for word in (*_REFUSED, *_MISSING))


def gone() -> Rejection:
    """Return the rejection of an image that is nowhere."""
    return Rejection(409, "The image is not there any more. Start the server again, and it will be made anew.")


def disk_full() -> Rejection:
    """Return the rejection of an engine without room."""
    return Rejection(FAILED_DEPENDENCY, "The container engine's disk is full. Ask an administrator to make room.")
