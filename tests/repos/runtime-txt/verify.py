"""The Python that runtime.txt names runs here."""

import platform
from pathlib import Path

import six

assert six
assert "python-" + ".".join(platform.python_version_tuple()[:2]) == Path("runtime.txt").read_text().strip()
