"""A stream of bytes as lines, however it arrives."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator


async def lines_of(chunks: AsyncIterable[bytes], limit_bytes: int) -> AsyncIterator[bytes]:
    """Yield the lines of a stream without their ends, and what stands behind the last one; lines end in newlines and nothing else.

    Of a line that is longer than `limit_bytes`, nothing is yielded.
    """
    rest = b""
    too_long = False
    async for chunk in chunks:
        *whole, last = chunk.split(b"\n")
        for piece in whole:
            line, rest = rest + piece, b""
            if not too_long and len(line) <= limit_bytes:
                yield line
            too_long = False
        rest += last
        if too_long or len(rest) > limit_bytes:
            too_long, rest = True, b""
    if rest:
        yield rest
