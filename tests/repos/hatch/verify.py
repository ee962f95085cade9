"""A package of hatch's is installed."""

import importlib.metadata

import stanza

assert stanza.WORD == "stanza"
assert importlib.metadata.version("six") == "1.16.0"
