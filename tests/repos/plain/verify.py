"""A repository without environment files still gets a JupyterLab."""

import importlib.util
from pathlib import Path

assert Path("README.md").exists()
for name in ("jupyterlab", "ipykernel", "jupyterhub"):
    assert importlib.util.find_spec(name), f"{name} is missing"
