"""An old-style project."""

from setuptools import setup

setup(name="oldstyle", version="0.2", py_modules=["oldstyle"], install_requires=["six==1.16.0"])
