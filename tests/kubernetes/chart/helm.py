"""The chart with the stand-in as its sub-chart, and helm."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
CHART = ROOT / "chart"
STAND_IN = Path(__file__).parent / "jupyterhub"
KUBERNETES = "1.34.0"
REASON = "" if shutil.which("helm") else "needs helm"
# A program of Go that runs for a tenth of a second need not look for memory to use again, nor do so beside its work.
_SHORT_LIVED = {"GOGC": "off", "GOMEMLIMIT": "500MiB", "GOMAXPROCS": "1"}
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the first is nine times as fast, and not everywhere

Values = dict[str, Any]
Objects = dict[tuple[str, str], dict[str, Any]]


class HelmFailed(Exception):
    """Helm refused; the text is what it said."""


def helm(*arguments: str, values: Values | None = None) -> str:
    """Run helm with values; return what it prints, or raise `HelmFailed`."""
    given = ["--values", "-"] if values is not None else []
    done = subprocess.run(
        ["helm", *arguments, *given], input=json.dumps(values or {}), env=os.environ | _SHORT_LIVED, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise HelmFailed(done.stderr)
    return done.stdout


def packed(folder: Path) -> Path:
    """Return a copy of the chart that stands on the stand-in, with nothing else changed."""
    copy = shutil.copytree(CHART, folder / "chart")
    shutil.copytree(STAND_IN, copy / "charts" / "jupyterhub")
    return copy


def template(chart: Path, values: Values | None = None, *arguments: str) -> list[dict[str, Any]]:
    """Return the objects that helm makes of the chart."""
    text = helm("template", "binder", str(chart), "--namespace=binder", f"--kube-version={KUBERNETES}", *arguments, values=values or {})
    return [made for made in yaml.load_all(text, _LOADER) if made]


def by_name(objects: list[dict[str, Any]]) -> Objects:
    """Return objects by kind and name."""
    return {(made["kind"], made["metadata"]["name"]): made for made in objects}
