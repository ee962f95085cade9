"""Tests of the client and its command line."""
