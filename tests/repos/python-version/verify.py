"""The Python that .python-version names runs here."""

import platform
from pathlib import Path

assert ".".join(platform.python_version_tuple()[:2]) == Path(".python-version").read_text().strip()
