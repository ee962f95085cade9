"""HTTP only: parse, one call, render."""
