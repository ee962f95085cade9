"""The tests; a package, so that they can share `tests.harness`. What they import does no work that no test needs, as in the service."""

from binderhub_service.common import quick_imports

quick_imports.install()
