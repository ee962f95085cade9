"""A setup.py in binder is nobody's."""

import six

assert six.__version__ == "1.16.0"
