"""``python -m binderhub_service``."""

from .startup import main

if __name__ == "__main__":
    main()
