"""GitHub's limits on creating content, as they are kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from include.deploy_ops.core.feedback.budget import NOTED_AT_ONCE, SECONDS_BETWEEN, WRITES_PER_HOUR_MAX, Budget
from tests.worlds.values.feedback_examples import NOW

HOUR = timedelta(hours=1)


@given(st.lists(st.floats(0, 120), min_size=1, max_size=1200))
def test_no_hour_and_no_minute_has_more_writes_than_allowed(gaps: list[float]) -> None:
    budget, now, sent = Budget(), NOW, []
    for gap in gaps:
        now += timedelta(seconds=gap)
        if budget.count_left(now):
            now += timedelta(seconds=budget.count_wait_s(now))
            budget = budget.spend(now)
            sent.append(now)
    for begin in sent:
        assert sum(begin <= at < begin + HOUR for at in sent) <= WRITES_PER_HOUR_MAX
        assert sum(begin <= at < begin + timedelta(minutes=1) for at in sent) <= 60
    assert all(later - earlier >= timedelta(seconds=SECONDS_BETWEEN) for earlier, later in pairwise(sent))


def test_the_budget_comes_back_after_an_hour_and_reads_back() -> None:
    budget, now = Budget(), NOW
    for _ in range(WRITES_PER_HOUR_MAX):
        assert budget.count_left(now)
        budget = budget.spend(now)
        now += timedelta(seconds=1)
    assert not budget.count_left(now)
    shape = TypeAdapter(Budget)
    budget = shape.validate_python(shape.dump_python(budget, mode="json"))
    assert not budget.count_left(NOW + HOUR)
    assert budget.count_left(NOW + HOUR + timedelta(minutes=1))
    assert budget.count_left(NOW + 2 * HOUR) == WRITES_PER_HOUR_MAX
    assert len(budget.spend(NOW + 2 * HOUR).minutes) == 1


@given(st.datetimes(NOW.replace(tzinfo=None), NOW.replace(tzinfo=None) + HOUR), st.integers(0, 70))
def test_what_is_noted_ahead_covers_its_own_minute_and_no_other(at: datetime, later_s: int) -> None:
    now = at.replace(tzinfo=UTC)
    noted, budget, later = Budget().spend_ahead(now), Budget().spend(now), now + timedelta(seconds=later_s)
    assert noted.covers(budget, now)
    is_same_minute = later.replace(second=0, microsecond=0) == now.replace(second=0, microsecond=0)
    assert noted.covers(budget.spend(later), later) == is_same_minute
    assert noted.count_wait_s(later) == SECONDS_BETWEEN or not is_same_minute
    for _ in range(NOTED_AT_ONCE):
        budget = budget.spend(now)
    assert not noted.covers(budget, now)


def test_a_pause_ends() -> None:
    budget = Budget().pause(NOW, 60)
    assert not budget.count_left(NOW + timedelta(seconds=59))
    assert budget.count_left(NOW + timedelta(seconds=60))


def test_a_clock_that_went_back_makes_nobody_wait_long() -> None:
    assert Budget().spend(NOW).count_wait_s(NOW - HOUR) == SECONDS_BETWEEN


def test_after_failures_new_runs_are_started_ever_less_often() -> None:
    budget, rests = Budget(), []
    for _ in range(8):
        budget = budget.end_run(NOW, has_failed=True)
        rests.append(next(minute for minute in range(100) if budget.is_due(NOW + timedelta(minutes=minute))))
    assert rests == [1, 2, 4, 8, 16, 32, 60, 60]
    assert budget.count_left(NOW)  # the retry of the task itself does not rest
    assert budget.end_run(NOW, has_failed=False).is_due(NOW)
    assert not Budget().pause(NOW, 60).is_due(NOW)
