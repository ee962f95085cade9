"""Kubernetes mode: servers as pods."""
