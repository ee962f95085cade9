"""Included files and constraints count."""

import six

assert six.__version__ == "1.16.0"
