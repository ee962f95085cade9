"""``python -m binderhub_service``."""

from .program import main

if __name__ == "__main__":
    main()
