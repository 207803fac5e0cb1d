"""Makes a failing life short: leaves out what it fails without, in ever smaller pieces, until nothing more can go."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.chaos.lives import Step


def shrink(steps: Sequence[Step], fails: Callable[[list[Step]], bool], is_time_left: Callable[[], bool]) -> list[Step]:
    """Return a shorter life that still fails, as short as the time allows.

    :param fails: whether a life fails in the same way.
    """
    left, size = list(steps), max(1, len(steps) // 2)
    while is_time_left():
        shorter = _leave_out(left, size, fails, is_time_left)
        if len(shorter) == len(left) and size == 1:
            return left
        size = size if len(shorter) < len(left) and size <= len(shorter) else max(1, size // 2)
        left = shorter
    return left


def _leave_out(
    steps: list[Step], size: int, fails: Callable[[list[Step]], bool], is_time_left: Callable[[], bool]
) -> list[Step]:
    """Return the life without each piece of that size that it fails without; the last pieces first."""
    left, end = list(steps), len(steps)
    while end > 0 and is_time_left():
        begin = max(0, end - size)
        candidate = left[:begin] + left[end:]
        if fails(candidate):
            left = candidate
        end = begin
    return left
