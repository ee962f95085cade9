"""Lines of a stream, however it arrives."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from binderhub_service.builders.kubernetes.lines import lines_of

TEXT = b"one\n\ntwo\r\x0b\x85\nand a line that is too long\nthree\nrest"


async def lines(chunks: Sequence[bytes]) -> list[bytes]:
    async def arriving() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return [line async for line in lines_of(arriving(), 10)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 11, 100])
async def test_lines_do_not_depend_on_how_they_arrive(size: int) -> None:
    chunks = [TEXT[at : at + size] for at in range(0, len(TEXT), size)]
    assert await lines(chunks) == [b"one", b"", b"two\r\x0b\x85", b"three", b"rest"]


async def test_a_stream_that_ends_with_a_line_has_no_empty_one_behind_it() -> None:
    assert await lines([b"one\n"]) == [b"one"]
    assert await lines([]) == []


async def test_a_line_that_never_ends_is_not_kept() -> None:
    assert await lines([b"x" * 8] * 1000) == []
