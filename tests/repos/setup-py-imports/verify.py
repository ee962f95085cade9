"""A setup.py finds what requirements.txt installs."""

from importlib.metadata import version

import meta

assert meta.HELD
assert version("meta") == "1.16.0"
