"""Building and keeping images."""
