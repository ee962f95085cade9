"""What requirements.txt asks for is there, in the version it names."""

import cowsay
import six

assert six.__version__ == "1.16.0"
assert callable(cowsay.get_output_string)
