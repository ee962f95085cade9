"""Docker mode: servers as containers."""
