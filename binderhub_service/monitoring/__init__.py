"""What an operator sees: metrics, health, events and the log."""
