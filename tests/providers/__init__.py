"""Tests of which commit is meant."""
