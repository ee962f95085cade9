"""Make it, and tell me: one file per way of building."""

from __future__ import annotations

from .base import Builder

__all__ = ["Builder"]
