"""Clients of foreign services (container engines, registries) that know nothing of builds."""
