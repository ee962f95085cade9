"""The project of pyproject.toml is installed with what it depends on."""

from importlib.metadata import version

import greeting
import six

assert version("greeting") == "0.3"
assert greeting.HELLO.startswith("hello")
assert six.__version__ == "1.16.0"
