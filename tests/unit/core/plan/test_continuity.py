"""Since when the memory has no hole: passes follow one another, and a restored or lost memory shows by their times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from include.deploy_ops.core.plan.continuity import ALWAYS, GAP_MAX, Continuity, continue_memory

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_passes_that_follow_one_another_leave_no_hole() -> None:
    known = Continuity(ALWAYS, NOW)
    for number in range(1, 50):
        known = continue_memory(known, NOW + number * GAP_MAX)
    assert known == Continuity(ALWAYS, NOW + 49 * GAP_MAX)


@pytest.mark.parametrize("known", [None, Continuity(ALWAYS, NOW - GAP_MAX - SECOND)])
def test_a_memory_that_is_gone_or_from_yesterday_begins_anew(known: Continuity | None) -> None:
    begun = continue_memory(known, NOW)
    assert begun == Continuity(NOW, NOW)
    assert continue_memory(begun, NOW + GAP_MAX).since == NOW


def test_a_hole_takes_nothing_of_what_the_policy_said() -> None:
    known = Continuity(ALWAYS, NOW - GAP_MAX - SECOND, ("shop.preview",), NOW - GAP_MAX, ("Production",))
    assert continue_memory(known, NOW) == Continuity(NOW, NOW, (), NOW - GAP_MAX, ("Production",))


def test_a_clock_that_was_put_back_makes_no_hole() -> None:
    known = Continuity(ALWAYS, NOW)
    assert continue_memory(known, NOW - SECOND) == known
