"""What a requirements.txt of Windows' editor asks for is there."""

import six

assert six.__version__ == "1.16.0"
