"""A list of what is needed is installed though it is no package."""

import six

assert six.__version__ == "1.16.0"
