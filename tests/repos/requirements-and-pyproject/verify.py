"""Both files count."""

import importlib.metadata

assert importlib.metadata.version("six") == "1.16.0"
assert importlib.metadata.version("tabulate") == "0.9.0"
