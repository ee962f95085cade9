"""A package without a project table is installed by its own build backend, with what it depends on."""

import six
import stanza

assert stanza.LINES == 4
assert six.__version__ == "1.16.0"
