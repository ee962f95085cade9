"""``python -m binder_client``."""

from .program import main

main()
