"""The service with another uv: ``python -m tests.faults.program``; for builds that are quick and can be told what to do."""

from __future__ import annotations

import os

from binderhub_service import startup
from binderhub_service.modes import embedded

UV_VARIABLE = "BINDER_TEST_UV"

if __name__ == "__main__":
    chosen = os.environ.get(UV_VARIABLE)
    if chosen:
        embedded.find_uv = lambda: chosen
    startup.main()
