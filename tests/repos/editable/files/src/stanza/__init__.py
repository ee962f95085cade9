"""A package."""

__version__ = "1.0"
WORD = "stanza"
