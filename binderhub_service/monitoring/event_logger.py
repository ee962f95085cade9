"""Events to handlers by jupyter-events; imported only where there is a handler, since the import takes long."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonschema import ValidationError
from jupyter_events import EventLogger

from .launch_events import Emit

log = logging.getLogger("binderhub_service")
_SCHEMAS = Path(__file__).with_name("event_schemas")


def emit_by(logger: EventLogger) -> Emit:
    """Return what tells a logger's handlers of an event; an event that its schema forbids is logged and left out."""
    for path in sorted(_SCHEMAS.glob("*.json")):
        logger.register_event_schema(path)

    def emit(schema: str, event: Mapping[str, Any]) -> None:
        try:
            logger.emit(schema_id=schema, data=dict(event))
        except ValidationError as error:
            log.error("An event of %s was left out: %s", schema, error.message)

    return emit
