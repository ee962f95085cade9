"""Tests of the commands beside the service."""
