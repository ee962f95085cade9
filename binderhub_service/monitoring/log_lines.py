"""How the service writes its log: lines for people, or objects of JSON for programs."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

# A level, a time, who says it.
LINE = "[%(levelname)1.1s %(asctime)s.%(msecs).03d %(name)s] %(message)s"


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON: ``time`` (UTC), ``level``, ``logger``, ``message``, and ``traceback`` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
