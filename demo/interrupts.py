"""Signals that end the demo: the first is raised wherever the demo is, those after it do not disturb the ending."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "the end of its terminal"}


_heard: list[int] = []
_ending: list[bool] = []


class Interrupted(KeyboardInterrupt):
    """Somebody wants the demo to end; the text says how they said it."""

    def __init__(self, number: int) -> None:
        super().__init__(NAMES[signal.Signals(number)])
        self.number = number


def hear_first() -> None:
    """Raise Interrupted at the first of the signals, and at no later one; what is ignored (nohup) stays ignored."""

    def hear(number: int, _frame: FrameType | None) -> None:
        _heard.append(number)
        if len(_heard) == 1:  # Ctrl-C reaches make and us, and make may pass it on
            raise Interrupted(number)

    for number in NAMES:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, hear)


def recall() -> None:
    """Raise the first signal again where it was lost: what is raised while Python clears things away goes nowhere."""
    if _heard and not _ending:
        raise Interrupted(_heard[0])


@contextmanager
def held() -> Iterator[None]:
    """Let the signals wait until the block has ended, in which the demo ends."""
    _ending.append(True)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, NAMES)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
