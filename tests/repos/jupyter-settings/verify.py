"""Settings of the server are part of the content."""

from pathlib import Path

assert Path(".jupyter/jupyter_server_config.json").exists()
assert Path(".ipython/profile_default/startup/00.py").exists()
