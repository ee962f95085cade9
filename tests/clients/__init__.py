"""Tests of clients of foreign services."""
