"""The versions of pylock.toml are installed."""

import six

assert six.__version__ == "1.15.0"
