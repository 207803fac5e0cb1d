"""An idle project is looked at once an hour, one with anything open every five minutes, one with a due time then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from include.deploy_ops.core.plan.pulse import OPEN_AGAIN, find_next_look, find_rest, spread_daily, spread_resync
from include.deploy_ops.core.plan.work import Hold, HoldKind, Plan

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
SOON = NOW + timedelta(seconds=30)


def make_plan(*kinds: HoldKind, wake_at: datetime | None = None) -> Plan:
    return Plan((), tuple(Hold("dev-a", "deploy", "why", kind=kind) for kind in kinds), 1, wake_at)


def test_where_nothing_is_open_the_hourly_resync_is_enough() -> None:
    assert find_next_look(make_plan(), NOW, is_busy=False) is None
    assert find_next_look(make_plan(HoldKind.ENDED, HoldKind.NEEDLESS), NOW, is_busy=False) is None
    assert find_next_look(make_plan(wake_at=SOON), NOW, is_busy=False) == SOON


@pytest.mark.parametrize("kind", [each for each in HoldKind if not each.is_settled])
def test_what_is_held_is_looked_at_again_soon(kind: HoldKind) -> None:
    assert find_next_look(make_plan(HoldKind.ENDED, kind), NOW, is_busy=False) == NOW + OPEN_AGAIN
    assert find_next_look(make_plan(kind, wake_at=SOON), NOW, is_busy=False) == SOON
    late = NOW + timedelta(hours=5)
    assert find_next_look(make_plan(kind, wake_at=late), NOW, is_busy=False) == NOW + OPEN_AGAIN


def test_what_is_at_work_is_looked_at_again_soon() -> None:
    assert find_next_look(make_plan(), NOW, is_busy=True) == NOW + OPEN_AGAIN


@pytest.mark.parametrize(
    ("seconds", "rests"), [(0, None), (1.9, None), (2, 6), (5, 15), (10, 30), (11, 30), (3600, 30), (-5, None)]
)
def test_control_rests_for_three_times_a_long_pass_and_no_longer_than_half_a_minute(
    seconds: float, rests: float | None
) -> None:
    ended = NOW + timedelta(seconds=seconds)
    assert find_rest(NOW, ended) == (None if rests is None else ended + timedelta(seconds=rests))


def test_projects_resync_at_different_minutes() -> None:
    minutes = [int(spread_resync(f"project_{number}").split()[0]) for number in range(600)]
    assert {spread_resync("a")[-8:] for _ in range(3)} == {" * * * *"}
    assert set(minutes) == set(range(60))
    assert max(map(minutes.count, set(minutes))) < 30
    assert spread_resync("shop") == spread_resync("shop")


def test_what_is_done_daily_falls_on_all_hours_and_stays_at_its_minute() -> None:
    times = [spread_daily(f"project_{number}", "template") for number in range(600)]
    assert all(each.endswith(" * * *") for each in times)
    assert {int(each.split()[1]) for each in times} == set(range(24))
    assert len(set(times)) > 400
    assert spread_daily("shop", "template") == spread_daily("shop", "template") != spread_daily("shop", "doctor")
