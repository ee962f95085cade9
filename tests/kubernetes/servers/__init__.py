"""BinderSpawner on a real cluster."""
