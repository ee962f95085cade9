import six
from setuptools import setup

setup(name="meta", version=six.__version__, py_modules=["meta"])
