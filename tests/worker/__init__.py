"""Tests of a build's own process or pod."""
