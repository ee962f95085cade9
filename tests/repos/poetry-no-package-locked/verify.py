"""What is no package has everything that its lock names."""

import six

assert six.__version__ == "1.15.0"
