"""The service as one process of its machine: where it listens, what it needs there, what it does now and then, what ends it."""
