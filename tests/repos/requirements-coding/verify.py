"""The encoding that a comment names counts."""

import six

assert six.__version__ == "1.16.0"
