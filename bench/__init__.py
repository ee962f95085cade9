"""Benchmarks: ``python -m bench [name ...] [--quick]``. Each is one file with a function `run` that yields rows."""
