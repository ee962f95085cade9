"""What runs inside build pods."""
