"""Windows line ends are line ends."""

import six

assert six.__version__ == "1.16.0"
