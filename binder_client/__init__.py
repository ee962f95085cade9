"""The other end of the wire: what asks the service, for the spawner and, in `commands`, for people on a command line."""
