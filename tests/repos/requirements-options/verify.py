"""Options that mean nothing here are left out."""

import six

assert six.__version__ == "1.16.0"
