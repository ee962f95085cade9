"""Servers as containers."""
