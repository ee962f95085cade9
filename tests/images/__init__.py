"""Tests of image stores."""
