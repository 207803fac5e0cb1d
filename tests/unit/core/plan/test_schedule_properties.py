"""The plan of one pass over generated differences: caps, waits, reasons, and nothing forgotten."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from include.deploy_ops.core.plan.remembered import BegunDelete, Ending, Judgement, Remembered, Removal
from include.deploy_ops.core.plan.schedule import BRAKE_WINDOW, Circumstances, count_allowed_deletes, schedule
from include.deploy_ops.core.plan.work import Plan, Verb, Work
from include.deploy_ops.core.policy.keys import Limits
from tests.worlds.values.examples import sha
from tests.worlds.values.works import BRANCHES, DELAYS_MINUTES, GOALS, LIMITS, NOW, make_difference, make_work, name_id

SECOND = timedelta(seconds=1)


AGES = st.sampled_from([0, 1, 30, 59, 60, 61, 119, 120, 3599, 3600, 3601])
BEGUN = st.builds(
    lambda age, branch: BegunDelete(NOW - timedelta(seconds=age), branch and name_id(branch)),
    AGES,
    st.sampled_from(["", "dev-gone", *BRANCHES]),
)
ENDINGS = st.tuples(st.sampled_from(["same", "other"]), AGES, st.booleans(), st.booleans())
MEMORIES = st.tuples(st.dictionaries(st.sampled_from(Verb), ENDINGS), st.sampled_from(["", "removal", "judgement"]))


def remember(branch: str, memory: tuple[dict[Verb, tuple[str, int, bool, bool]], str]) -> Remembered:
    endings, extra = memory
    known = {
        verb.value: Ending(
            make_work(branch, verb, sha("b" if which == "same" else "a")).name,
            NOW - timedelta(seconds=age),
            is_failure=is_failure,
            is_permanent=is_permanent,
            cause="boom",
        )
        for verb, (which, age, is_failure, is_permanent) in endings.items()
    }
    removal = Removal(sha("b"), "idle") if extra == "removal" else None
    return Remembered(known, removal, Judgement(sha("b"), "d1", "p", "only docs") if extra == "judgement" else None)


@st.composite
def circumstances(draw: st.DrawFn) -> Circumstances:
    memories = draw(st.dictionaries(st.sampled_from(BRANCHES), MEMORIES, max_size=6))
    attempts = draw(st.dictionaries(st.sampled_from(BRANCHES), st.integers(1, 9), max_size=6))
    return Circumstances(
        now=NOW,
        policy="p",
        in_flight=dict.fromkeys(draw(st.sets(st.sampled_from(BRANCHES), max_size=3)), "some-run"),
        updates_in_flight=draw(st.integers(0, 2)),
        creates_in_flight=draw(st.integers(0, 2)),
        remembered={branch: remember(branch, memory) for branch, memory in memories.items()},
        finished={make_work(branch, verb).name: count for branch, count in attempts.items() for verb in Verb},
        begun_deletes=tuple(draw(st.lists(BEGUN, max_size=4))),
        blocked=draw(st.sampled_from([{}, {}, {}, {"preview": "paused"}])),
    )


def is_judged(work: Work, given: Circumstances) -> bool:
    known = given.remembered.get(work.branch)
    return work.verb is Verb.DEPLOY and known is not None and known.judgement is not None


def count(plan: Plan, verb: Verb) -> int:
    return sum(action.work.verb is verb for action in plan.actions)


@given(GOALS, st.integers(0, 15), circumstances(), LIMITS, st.integers(1, 15))
@settings(max_examples=120)
def test_every_work_starts_or_is_held_with_a_reason_never_both_never_neither(
    goals: dict[str, tuple[Verb, ...]], live: int, given: Circumstances, limits: Limits, max_live: int
) -> None:
    difference = make_difference(goals, live)
    plan = schedule(difference, given, limits, max_live)
    told = Counter((action.work.branch, action.work.verb.value) for action in plan.actions)
    told += Counter((hold.environment, hold.what) for hold in plan.holds)
    assert told == Counter((work.branch, work.verb.value) for work in difference.works if not is_judged(work, given))
    assert all(hold.reason for hold in plan.holds)
    assert max(Counter(action.work.branch for action in plan.actions).values(), default=1) == 1


@given(GOALS, st.integers(0, 15), circumstances(), LIMITS, st.integers(1, 15))
@settings(max_examples=120)
def test_the_caps_hold_and_max_live_evicts_nothing(
    goals: dict[str, tuple[Verb, ...]], live: int, given: Circumstances, limits: Limits, max_live: int
) -> None:
    difference = make_difference(goals, live)
    plan = schedule(difference, given, limits, max_live)
    begun = [each for each in given.begun_deletes if NOW - each.at < BRAKE_WINDOW]
    known = {each.deployment_id for each in begun if each.deployment_id}
    recent = len(known) + sum(not each.deployment_id for each in begun)
    dying = len(known & {work.deployment_id for work in difference.works if work.verb is Verb.DELETE})
    assert len(plan.actions) <= limits.max_actions_per_pass
    assert count(plan, Verb.UPDATE) <= max(limits.max_updates_per_pass - given.updates_in_flight, 0)
    assert count(plan, Verb.CREATE) <= max(max_live - live - given.creates_in_flight, 0)
    deletes = {action.work.deployment_id for action in plan.actions if action.work.verb is Verb.DELETE}
    assert len(deletes - known) <= max(count_allowed_deletes(live - dying + recent, limits) - recent, 0)
    assert {action.work.name for action in plan.actions} <= {work.name for work in difference.works}
    for action in plan.actions:
        remembered = given.remembered.get(action.work.branch, Remembered())
        ending = remembered.endings.get(action.work.verb.value)
        assert action.work.branch not in given.in_flight
        assert not (action.work.verb is Verb.CREATE and remembered.removal)
        if ending is not None and ending.work == action.work.name:
            assert not (ending.is_failure and ending.is_permanent)
            tries = max(given.finished.get(ending.work, 0), 1)
            assert NOW - ending.ended_at >= timedelta(minutes=DELAYS_MINUTES[min(tries, len(DELAYS_MINUTES)) - 1])
        assert action.run_id == f"{action.work.name}~{given.finished.get(action.work.name, 0) + 1}"


@given(GOALS, circumstances(), LIMITS, st.randoms(use_true_random=False))
def test_the_order_of_what_is_known_does_not_matter(
    goals: dict[str, tuple[Verb, ...]], given: Circumstances, limits: Limits, random: Random
) -> None:
    def turn(known: Any) -> dict[Any, Any]:
        return dict(random.sample(list(known.items()), len(known)))

    begun = tuple(random.sample(given.begun_deletes, len(given.begun_deletes)))
    turned = replace(
        given,
        begun_deletes=begun,
        in_flight=turn(given.in_flight),
        remembered=turn(given.remembered),
        finished=turn(given.finished),
    )
    one, other = (make_difference(each, 5) for each in (goals, turn(goals)))
    assert schedule(one, given, limits, 9) == schedule(other, turned, limits, 9)


def put_in_flight(plan: Plan, given: Circumstances, at: datetime) -> Circumstances:
    """Return what a later pass knows: all that was started is still at work."""
    works = [action.work for action in plan.actions if action.work.verb is Verb.DELETE]
    return replace(
        given,
        now=at,
        in_flight={**given.in_flight, **{action.work.branch: action.run_id for action in plan.actions}},
        updates_in_flight=given.updates_in_flight + count(plan, Verb.UPDATE),
        creates_in_flight=given.creates_in_flight + count(plan, Verb.CREATE),
        begun_deletes=(*given.begun_deletes, *(BegunDelete(given.now, work.deployment_id) for work in works)),
    )


BY_TIME = ("; attempt ", "the next may go at ")


def list_timed(plan: Plan) -> set[tuple[str, str, str]]:
    """Return what waits for time alone, and in which way."""
    return {(hold.environment, hold.what, said) for hold in plan.holds for said in BY_TIME if said in hold.reason}


@given(GOALS, st.integers(0, 15), circumstances(), LIMITS)
@settings(max_examples=120)
def test_wake_at_is_the_earliest_moment_at_which_time_alone_frees_something(
    goals: dict[str, tuple[Verb, ...]], beside: int, given: Circumstances, limits: Limits
) -> None:
    difference = make_difference(goals, len(goals) + beside)
    given = replace(given, blocked={})
    limits = limits.model_copy(update={"max_actions_per_pass": 50})
    plan = schedule(difference, given, limits, 30)
    timed = list_timed(plan)
    assert (plan.wake_at is None) == (not timed)
    if plan.wake_at is not None:
        assert plan.wake_at > NOW
        before = schedule(difference, put_in_flight(plan, given, plan.wake_at - SECOND / 1000), limits, 30)
        assert timed <= list_timed(before) | {(work.branch, work.verb.value, BY_TIME[0]) for work in _list_flying(plan)}
        after = schedule(difference, put_in_flight(plan, given, plan.wake_at), limits, 30)
        assert not timed <= list_timed(after) | {(work.branch, work.verb.value, "") for work in _list_flying(plan)}


def _list_flying(plan: Plan) -> list[Work]:
    """Return what else their environments need while the plan's actions are at work."""
    return [make_work(action.work.branch, verb) for action in plan.actions for verb in Verb]


WAYS_OUT = (
    "in flight: ",
    "until the branch moves or someone forces it",
    "push a fix, clear the failed run, or force it",
    " UTC",
    "raise",
    "when there is room",
    "the next pass",
    "paused",
    "one at a time: it comes after the deploy",
)


@given(GOALS, st.integers(0, 15), circumstances(), LIMITS, st.integers(1, 15))
def test_each_reason_names_what_ends_the_hold(
    goals: dict[str, tuple[Verb, ...]], live: int, given: Circumstances, limits: Limits, max_live: int
) -> None:
    plan = schedule(make_difference(goals, live), given, limits, max_live)
    for hold in plan.holds:
        assert any(way in hold.reason for way in WAYS_OUT), hold


@given(GOALS, st.integers(0, 15), circumstances(), LIMITS)
@settings(max_examples=120)
def test_a_full_pass_leaves_no_kind_more_than_one_turn_behind(
    goals: dict[str, tuple[Verb, ...]], live: int, given: Circumstances, limits: Limits
) -> None:
    plan = schedule(make_difference(goals, live), given, limits, 30)
    late = {hold.what for hold in plan.holds if hold.reason.startswith("max_actions_per_pass")}
    started = Counter(action.work.verb.value for action in plan.actions)
    assert not late or len(plan.actions) == limits.max_actions_per_pass
    assert all(started[what] >= max(started.values()) - 1 for what in late)
    assert not given.blocked or not late, "what may not start waits for no room"
