"""A clock that a test turns: months of an event loop's timers in seconds, threads and blocking sleeps with them.

Only what asks Python for the time is deceived. Nothing listens on a socket meanwhile, and no thread runs: what would
run in one runs at once, and its result comes when it would have come.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
import time
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextvars import Context

    import pytest

T = TypeVar("T")
Args = TypeVarTuple("Args")
OURS = "include.deploy_ops."


class NothingLeftError(Exception):
    """Everybody waits, and nothing is left that could ever wake one of them."""


@dataclass
class SimulatedClock:
    """Says the time: `now_s` counts from the start and never goes back, `skew_s` is how far the wall clock is ahead."""

    start: datetime
    skew_s: float = 0.0
    _base_s: float = 0.0
    _ahead_s: float = 0.0  # in the thread that runs just now
    _is_apart: bool = False

    @property
    def now_s(self) -> float:
        return self._base_s + self._ahead_s

    @property
    def true_now(self) -> datetime:
        """The time by everybody else's clock."""
        return self.start + timedelta(seconds=self.now_s)

    def monotonic(self) -> float:
        return self.now_s

    def time(self) -> float:
        return self.start.timestamp() + self.now_s + self.skew_s

    def sleep(self, seconds: float) -> None:
        """Let time pass for who sleeps: in a thread for that alone, else for the whole event loop."""
        if self._is_apart:
            self._ahead_s += seconds
        else:
            self._base_s += seconds

    def run_apart(self, call: Callable[[], Any]) -> tuple[Callable[[], Any], float]:
        """Do what a thread would do; return how to get what it came to, and after how many seconds it is there."""
        self._is_apart = True
        try:
            result = call()
        except Exception as error:  # noqa: BLE001 - raised again where the thread is waited for
            return _raiser(error), self._ahead_s
        else:
            return (lambda: result), self._ahead_s
        finally:
            self._is_apart, self._ahead_s = False, 0.0


def _raiser(error: Exception) -> Callable[[], Any]:
    def again() -> Any:
        raise error

    return again


class _Selector(selectors.SelectSelector):
    """Waits for no file: lets the clock go on instead."""

    def __init__(self, clock: SimulatedClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise NothingLeftError
        if timeout > 0:
            self._clock.sleep(timeout)
        return []


WATCHED: ContextVar[list[float] | None] = ContextVar("watched", default=None)
"""A list into which goes the longest wait of whoever runs in this context."""


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is the clock's."""

    def __init__(self, clock: SimulatedClock) -> None:
        super().__init__(_Selector(clock))
        self.clock = clock
        self._clock_resolution = 1e-6  # of a float that counts a year's seconds

    def time(self) -> float:
        return self.clock.now_s

    def call_at(
        self,
        when: float,
        callback: Callable[[*Args], object],
        *args: *Args,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        if (waits := WATCHED.get()) is not None:
            waits[0] = max(waits[0], when - self.clock.now_s)
        return super().call_at(when, callback, *args, context=context)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]  # a future, as the base says; the stub wants its type variables
        future = self.create_future()
        get, seconds = self.clock.run_apart(lambda: func(*args))

        def end() -> None:
            if future.done():
                return
            try:
                future.set_result(get())
            except Exception as error:  # noqa: BLE001 - whoever waits gets it
                future.set_exception(error)

        self.call_later(seconds, end)
        return future

    def count_timers(self) -> int:
        """Return how many timers wait for their time."""
        return sum(not each.cancelled() for each in self._scheduled)  # type: ignore[attr-defined]  # asyncio's own list


def _make_datetime(clock: SimulatedClock) -> type[datetime]:
    class SimulatedDatetime(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # a real one, which pydantic knows
            return clock.start.astimezone(tz) + timedelta(seconds=clock.now_s + clock.skew_s)

        @classmethod
        def fromisoformat(cls, text: str, /) -> datetime:  # type: ignore[override]  # likewise
            return datetime.fromisoformat(text)

        @classmethod
        def fromtimestamp(cls, timestamp: float, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # likewise
            return datetime.fromtimestamp(timestamp, tz)

    return SimulatedDatetime


def start_clock(patch: pytest.MonkeyPatch, start: datetime) -> SimulatedClock:
    """Return a clock by which all modules of the product that are loaded tell the time, until the patch is undone."""
    clock = SimulatedClock(start.astimezone(UTC))
    patch.setattr(time, "time", clock.time)
    patch.setattr(time, "monotonic", clock.monotonic)
    patch.setattr(time, "sleep", clock.sleep)
    told = _make_datetime(clock)
    for name, module in [*sys.modules.items()]:
        if name.startswith(OURS) and vars(module).get("datetime") is datetime:
            patch.setattr(module, "datetime", told)
    return clock


def play(clock: SimulatedClock, story: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine by that clock, and return its result."""
    with asyncio.Runner(loop_factory=lambda: SimulatedLoop(clock)) as runner:
        return runner.run(story)
