"""An empty list asks for nothing."""

import importlib.util

assert importlib.util.find_spec("six") is None
