"""Copy the chart for a release, with the images that were published for it: python3 scripts/release_chart.py VERSION REGISTRY FOLDER

What is published is `chart/` with two names changed; this needs Python's own library alone, as it runs before anything is installed.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
# What the chart is made with, and nobody who installs it needs.
LEFT_OUT = ("images", "make_schema.py", "schema.yaml", "charts", "__pycache__")


def versions() -> dict[str, str]:
    """Return the version as each file has it, by the file's name."""
    patterns = {
        "setup.py": r'^    version="(.+)",$',
        "chart/Chart.yaml": r"^version: (.+)$",
        "chart/Chart.yaml's appVersion": r"^appVersion: (.+)$",
    }
    found = {}
    for name, pattern in patterns.items():
        match = re.search(pattern, (ROOT / name.partition("'")[0]).read_text(), re.MULTILINE)
        found[name] = match[1] if match else "none"
    return found


def values_for(text: str, version: str, registry: str) -> str:
    """Return values.yaml with the names of the published images; raises `ValueError` if they are not where they should be."""
    for name in ("hub", "builder"):
        text, count = re.subn(rf'(name: )(binderspawner-{name}\n +tag: )"[^"]+"', rf'\g<1>{registry}/\g<2>"{version}"', text)
        if count != 1:
            raise ValueError(f"values.yaml names the image binderspawner-{name} {count} times")
    return text


def main(version: str, registry: str, folder: Path) -> None:
    """Make the copy; ends with a sentence if a file has another version."""
    others = [f"{name} says {found}" for name, found in versions().items() if found != version]
    if others:
        raise SystemExit(f"This is not version {version}: {', '.join(others)}.")
    shutil.copytree(ROOT / "chart", folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
    values = folder / "values.yaml"
    values.write_text(values_for(values.read_text(), version, registry))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
