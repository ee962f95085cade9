"""Docker mode over a real engine and a real registry; skipped where there are none."""
