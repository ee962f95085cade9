"""Says hello."""

HELLO = "hello from the working copy's project"
