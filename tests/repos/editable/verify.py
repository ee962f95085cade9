"""A package in editable mode is there."""

import importlib.metadata

import stanza

assert stanza.WORD == "stanza"
assert importlib.metadata.version("six") == "1.16.0"
