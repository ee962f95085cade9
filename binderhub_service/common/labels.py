"""What this project writes on images and containers, so that it finds its own again."""

from __future__ import annotations

REPOSITORY = "binder.repository"
COMMIT = "binder.commit"
ENVIRONMENT = "binder.environment"
BUILD = "binder.build"
USER = "binder.user"
SERVER = "binder.server"
