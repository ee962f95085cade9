"""The version in uv.lock is installed, although a newer one would do as well."""

import six

assert six.__version__ == "1.15.0"
