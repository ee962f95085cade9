"""Tests of the repository itself: its layout, words, documents and dependencies."""
