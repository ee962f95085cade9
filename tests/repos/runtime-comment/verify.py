"""A runtime.txt without a version asks for none."""

import importlib.util

assert importlib.util.find_spec("six") is None
