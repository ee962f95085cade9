"""Pure rules on which the hub, the spawner, the service and the pages must agree; standard library only.

The spawner imports this and nothing else of the service."""
