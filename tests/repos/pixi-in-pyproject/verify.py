"""The project's own dependencies are installed, pixi's are not."""

import six

assert six.__version__ == "1.16.0"
