"""What other tools read is not installed."""

import importlib.util

assert importlib.util.find_spec("six") is None
