"""``python -m binderhub_service``."""

from .serving import main

if __name__ == "__main__":
    main()
