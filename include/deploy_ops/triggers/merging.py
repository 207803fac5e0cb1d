"""The events of several sources as those of one, as they come. Knows nothing of what they tell."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

T = TypeVar("T")


async def merge(*sources: AsyncIterator[T]) -> AsyncIterator[T]:
    """Yield what the sources yield, none of which waits for another.

    What ends one of them ends all: its error is raised here. They are cancelled as soon as nobody asks any more.
    """
    found: asyncio.Queue[T] = asyncio.Queue()

    async def follow(source: AsyncIterator[T]) -> None:
        async for each in source:
            found.put_nowait(each)

    followers = [asyncio.create_task(follow(source)) for source in sources]
    try:
        while True:
            taken = asyncio.create_task(found.get())
            try:
                await asyncio.wait([taken, *followers], return_when=asyncio.FIRST_COMPLETED)
            finally:
                taken.cancel()
            if taken.done() and not taken.cancelled():
                yield taken.result()
                continue
            for each in followers:
                if each.done():
                    each.result()
                    return
    finally:
        for each in followers:
            each.cancel()
        await asyncio.gather(*followers, return_exceptions=True)
