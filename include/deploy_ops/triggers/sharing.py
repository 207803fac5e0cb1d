"""One question for all triggers of a process that want to know the same at about the same time.

Keeps what was answered, or what went wrong, for as long as the one who asks next thinks it fresh.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

T = TypeVar("T")

KEPT_S = 600.0
"""After which an answer that nobody wanted again is dropped."""


@dataclass(slots=True)
class _Entry(Generic[T]):
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    answered_s: float = float("-inf")
    answer: T | None = None
    error: Exception | None = None


@dataclass
class SharedAnswers(Generic[T]):
    """The answers by what was asked, of one event loop."""

    _entries: dict[Hashable, _Entry[T]] = field(default_factory=dict)

    async def get(self, key: Hashable, fresh_s: float, ask: Callable[[T | None], Awaitable[T]]) -> T:
        """Return the answer that is at most so many seconds old, asking for a new one where there is none.

        :param ask: gets the last answer, None where there is none. What it raises is raised for all who wait for it,
            and for nobody who comes later.
        """
        entry = self._entries.setdefault(key, _Entry())
        clock = asyncio.get_running_loop().time
        asked_s = clock()
        async with entry.lock:
            if entry.answered_s < asked_s - (fresh_s if entry.error is None else 0.0):
                await self._ask(entry, ask)
        self._drop(clock() - KEPT_S)
        if entry.error is not None:
            raise entry.error
        if entry.answer is None:
            raise RuntimeError(f"nothing was answered to {key}")
        return entry.answer

    async def _ask(self, entry: _Entry[T], ask: Callable[[T | None], Awaitable[T]]) -> None:
        try:
            entry.answer, entry.error = await ask(entry.answer), None
        except Exception as error:  # noqa: BLE001 - raised again, for each who waits
            entry.error = error
        entry.answered_s = asyncio.get_running_loop().time()

    def _drop(self, before_s: float) -> None:
        for key, entry in [*self._entries.items()]:
            if entry.answered_s < before_s and not entry.lock.locked():
                del self._entries[key]


_BY_LOOP: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, SharedAnswers[Any]]] = WeakKeyDictionary()


def share(kind: str) -> SharedAnswers[Any]:
    """Return the answers of that kind which the triggers of this event loop share."""
    return _BY_LOOP.setdefault(asyncio.get_running_loop(), {}).setdefault(kind, SharedAnswers())
