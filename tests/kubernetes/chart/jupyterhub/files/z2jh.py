"""What zero-to-jupyterhub gives to extraConfig for reading the chart's values."""

from functools import cache
from pathlib import Path

import yaml

FOLDER = Path("/usr/local/etc/jupyterhub")


@cache
def _values():
    return yaml.safe_load((FOLDER / "secret/values.yaml").read_text())


def get_name(name):
    return (FOLDER / "config" / name).read_text()


def get_secret_value(key):
    return (FOLDER / "secret" / key).read_text()


def get_config(key, default=None):
    value = _values()
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            return default
        value = value[part]
    return value


def set_config_if_not_none(section, name, key):
    value = get_config(key)
    if value is not None:
        section[name] = value
