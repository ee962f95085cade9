"""A version file that names no version of Python changes nothing."""

import six

assert six.__version__ == "1.16.0"
