"""The project of setup.py is installed with what it depends on."""

from importlib.metadata import version

import oldstyle
import six

assert version("oldstyle") == "0.2"
assert oldstyle.YEAR == 2009
assert six.__version__ == "1.16.0"
