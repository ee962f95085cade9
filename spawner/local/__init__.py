"""Embedded mode: servers as local processes."""
