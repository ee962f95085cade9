"""Settings that are the same in every mode, by what they are about."""

from __future__ import annotations

from .building import Cleaning, Limits, UrlGuard
from .launching import BuildToken, Launcher, LaunchQuota, RateLimiter
from .preparing import Prepared
from .serving import LegacyApis, Pages, Server

__all__ = ["BuildToken", "Cleaning", "LaunchQuota", "Launcher", "LegacyApis", "Limits", "Pages", "Prepared", "RateLimiter", "Server", "UrlGuard"]
