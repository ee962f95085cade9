"""A package that only setup.cfg describes is installed by its build system."""

import importlib.metadata

import stanza

assert stanza.WORD == "stanza"
assert importlib.metadata.version("six") == "1.16.0"
