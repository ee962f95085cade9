"""End to end: a real hub, the real proxy, a real Git server, real builds and servers."""
