"""A module of the repository's own."""

YEAR = 2009
