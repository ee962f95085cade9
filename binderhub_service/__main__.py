"""``python -m binderhub_service``."""

from .app import main

if __name__ == "__main__":
    main()
