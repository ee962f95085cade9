"""The server runs under the repository's start script.

Run outside of a server there is only the script itself to look at: tests/hub looks at the variable in a kernel.
"""

import os
from pathlib import Path

assert os.access("start", os.X_OK)
assert "JUPYTERHUB_API_TOKEN" not in os.environ or os.environ["SET_BY_START"] == "quotes ' and spaces"
assert Path("start").read_text().startswith("#!")
