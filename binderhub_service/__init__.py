"""A JupyterHub-managed service that turns repositories into images that servers are launched from."""

__version__ = "0.1.0"
