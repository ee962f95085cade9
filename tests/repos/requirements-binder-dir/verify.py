"""The files in binder/ count, and those at the root do not."""

import importlib.util

import six

assert six.__version__ == "1.16.0"
assert importlib.util.find_spec("cowsay") is None
