"""A folder with another spelling is content, and the log says so."""

import importlib.util

assert importlib.util.find_spec("cowsay") is None
