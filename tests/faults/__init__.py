"""Faults on purpose: kills, limits that are reached, disks that are full; all with real processes."""
