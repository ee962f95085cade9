"""Tests of the common rules."""
