"""The baseline of `bench.asks`: a bare Tornado handler that returns the bytes it is given, whatever is asked.

python -m bench.bare PORT < BYTES
"""

from __future__ import annotations

import asyncio
import sys

from tornado import web


class _Handler(web.RequestHandler):
    def initialize(self, content: bytes) -> None:
        self._content = content

    def get(self) -> None:
        self.set_header("Content-Type", "application/json")
        self.finish(self._content)

    post = get


async def main(port: int) -> None:
    """Serve until killed."""
    content = sys.stdin.buffer.read()
    web.Application([(r"/.*", _Handler, {"content": content})], log_function=lambda handler: None).listen(port, "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
