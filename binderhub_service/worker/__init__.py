"""What runs in a build's own process or pod, on a stranger's files."""
