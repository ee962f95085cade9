"""What the tests stand on: a real Git server, a real hub, repositories as folders."""
