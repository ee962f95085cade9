"""Lines are continued by a backslash."""

import six

assert six.__version__ == "1.16.0"
