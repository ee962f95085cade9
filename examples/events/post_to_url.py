"""Every launch and every build, posted as JSON to the address in the environment's EVENTS_URL.

Start the service with ``--config post_to_url.py``, or name the file in `BinderService.config_file`. Events are posted by a thread
of their own: the service does not wait for the receiver. An event that is not taken is told in the log and left out.
"""

import logging
import os
from logging.handlers import QueueHandler, QueueListener
from queue import Queue

import httpx

c = get_config()  # noqa: F821  given by traitlets
log = logging.getLogger("binderhub_service")


class Poster(logging.Handler):
    """Posts events that are JSON already."""

    def emit(self, record: logging.LogRecord) -> None:
        """Post one event."""
        try:
            answer = httpx.post(os.environ["EVENTS_URL"], content=record.getMessage(), headers={"Content-Type": "application/json"}, timeout=10)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            log.warning("An event could not be posted: %s", error)


waiting: Queue[logging.LogRecord] = Queue(maxsize=10_000)
QueueListener(waiting, Poster()).start()
c.EventLogger.handlers = [QueueHandler(waiting)]
