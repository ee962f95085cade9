"""A package without a project table is installed by its own build backend, with the versions of poetry.lock."""

import six
import stanza

assert stanza.LINES == 4
assert six.__version__ == "1.15.0"
