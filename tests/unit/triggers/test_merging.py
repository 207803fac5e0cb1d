"""Several sources of events as one: none waits for another, an error ends all, and nothing is left running."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.triggers.merging import merge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def give(*values: str) -> AsyncIterator[str]:
    for value in values:
        await asyncio.sleep(0)
        yield value
    await asyncio.Event().wait()


def test_a_silent_source_keeps_no_other_waiting_and_all_end_with_their_reader() -> None:
    async def read() -> tuple[list[str], int]:
        merged = merge(give(), give("a", "b"), give("c"))
        found = [await asyncio.wait_for(anext(merged), 5) for _ in range(3)]
        await merged.aclose()  # type: ignore[attr-defined]  # of the generator that it is
        return found, len(asyncio.all_tasks())

    found, running = asyncio.run(read())
    assert sorted(found) == ["a", "b", "c"]
    assert found.index("a") < found.index("b")
    assert running == 1


def test_what_a_source_said_before_it_failed_is_told_first_and_then_its_error() -> None:
    async def fail() -> AsyncIterator[str]:
        yield "last words"
        raise ValueError("broken")

    async def read() -> str:
        merged = merge(give(), fail())
        word = await anext(merged)
        with pytest.raises(ValueError, match="broken"):
            await anext(merged)
        return word

    assert asyncio.run(asyncio.wait_for(read(), 5)) == "last words"


def test_a_cancelled_reader_leaves_nothing_running() -> None:
    async def read() -> int:
        merged = merge(give(), give())
        reading = asyncio.ensure_future(anext(merged))
        await asyncio.sleep(0.01)
        reading.cancel()
        await asyncio.wait({reading})
        return len(asyncio.all_tasks())

    assert asyncio.run(read()) == 1
