"""A byte order mark is no part of a name."""

import six

assert six.__version__ == "1.16.0"
