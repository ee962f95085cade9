"""Tests of the spawner."""
