"""Every launch and every build, a JSON object a line, in a file that is put aside when it is large.

Start the service with ``--config json_lines.py``, or name the file in `BinderService.config_file`.
"""

import os
from logging.handlers import RotatingFileHandler

c = get_config()  # noqa: F821  given by traitlets

path = os.environ.get("EVENTS_FILE", "events.jsonl")
c.EventLogger.handlers = [RotatingFileHandler(path, maxBytes=100 * 1024**2, backupCount=10, encoding="utf-8")]
