"""The plan over hours of passes, whose runs take time and fail: attempts come later and later, and the brake brakes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from include.deploy_ops.core.plan.remembered import BegunDelete, Ending, Remembered
from include.deploy_ops.core.plan.schedule import BRAKE_WINDOW, Circumstances, count_allowed_deletes, schedule
from include.deploy_ops.core.plan.work import Action, Plan, Verb
from include.deploy_ops.core.policy.keys import Limits
from tests.worlds.values.works import BRANCHES, DELAYS_MINUTES, GOALS, LIMITS, NOW, make_difference, make_work, name_id


@dataclass
class Clock:
    """Hours of passes over one difference, whose runs take time and may fail.

    `runs` are those at work, with their end; `started` tells when each attempt of each work began, `ended` when the
    last one ended.
    """

    goals: dict[str, tuple[Verb, ...]]
    live: int
    limits: Limits
    now: datetime = NOW
    runs: dict[str, tuple[Action, datetime]] = field(default_factory=dict)
    finished: dict[str, int] = field(default_factory=dict)
    remembered: dict[str, Remembered] = field(default_factory=dict)
    deletes: list[tuple[datetime, int, str]] = field(default_factory=list)
    started: dict[str, list[datetime]] = field(default_factory=dict)
    ended: dict[str, list[datetime]] = field(default_factory=dict)

    def plan(self) -> Plan:
        difference = make_difference(self.goals, self.live)
        in_flight = {branch: action.run_id for branch, (action, _) in self.runs.items()}
        given = Circumstances(
            now=self.now,
            policy="p",
            in_flight=in_flight,
            updates_in_flight=sum(action.work.verb is Verb.UPDATE for action, _ in self.runs.values()),
            creates_in_flight=sum(action.work.verb is Verb.CREATE for action, _ in self.runs.values()),
            remembered=self.remembered,
            finished=self.finished,
            begun_deletes=tuple(BegunDelete(time, name_id(branch)) for time, _, branch in self.deletes),
        )
        return schedule(difference, given, self.limits, 30)

    def start(self, plan: Plan, took: timedelta) -> None:
        for action in plan.actions:
            assert action.work.branch not in self.runs
            self.started.setdefault(action.work.name, []).append(self.now)
            if action.work.verb is Verb.DELETE:
                self.deletes.append((self.now, self.live, action.work.branch))
            self.runs[action.work.branch] = (action, self.now + took)

    def end_runs(self, failing: set[str], permanent: set[str]) -> None:
        for branch, (action, at) in [*self.runs.items()]:
            if at <= self.now:
                del self.runs[branch]
                self._end(action, at, has_failed=branch in failing, is_permanent=branch in permanent)

    def _end(self, action: Action, at: datetime, *, has_failed: bool, is_permanent: bool) -> None:
        work = action.work
        self.finished[work.name] = self.finished.get(work.name, 0) + 1
        self.ended.setdefault(work.name, []).append(at)
        known = self.remembered.get(work.branch, Remembered())
        ending = Ending(work.name, at, has_failed, has_failed and is_permanent, "boom")
        self.remembered[work.branch] = replace(known, endings={**known.endings, work.verb.value: ending})
        if not has_failed:
            self.goals[work.branch] = tuple(verb for verb in self.goals[work.branch] if verb is not work.verb)
            self.live += {Verb.CREATE: 1, Verb.DELETE: -1}.get(work.verb, 0)


def run_passes(
    clock: Clock, random: Random, failing: set[str], permanent: set[str], hours: int, pushes: bool = False
) -> None:
    """Make a pass whenever a run ends or something becomes due, and after pushes; runs take up to 10 minutes."""
    end = clock.now + timedelta(hours=hours)
    while clock.now < end:
        clock.end_runs(failing, permanent)
        plan = clock.plan()
        clock.start(plan, timedelta(seconds=random.choice([0, 5, 90, 600])))
        moments = [at for _, at in clock.runs.values()] + ([plan.wake_at] if plan.wake_at else [])
        if not moments:
            return
        push = timedelta(seconds=random.choice([1, 300, 3600] if pushes else [7200]))
        clock.now = max(min(*moments, clock.now + push), clock.now)


BRANCH_SETS = st.sets(st.sampled_from(BRANCHES))
ROOMY = Limits(max_actions_per_pass=50, max_updates_per_pass=50, max_deletes=50, max_delete_fraction=1.0)


@given(GOALS, BRANCH_SETS, BRANCH_SETS, st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_failing_work_comes_again_later_and_later_and_is_never_given_up(
    goals: dict[str, tuple[Verb, ...]], failing: set[str], permanent: set[str], random: Random
) -> None:
    clock = Clock(dict(goals), live=20, limits=ROOMY)
    run_passes(clock, random, failing, permanent, hours=6)
    for branch, verbs in goals.items():
        first = verbs[0]
        starts = clock.started[make_work(branch, first).name]
        if branch not in failing:
            assert len(starts) == 1
            assert all(len(clock.started[make_work(branch, verb).name]) == 1 for verb in verbs)
        elif branch in permanent:
            assert len(starts) == 1
        else:
            _check_delays(starts, clock.ended[make_work(branch, first).name])
            assert clock.now - starts[-1] <= timedelta(minutes=75)


def _check_delays(starts: list[datetime], ends: list[datetime]) -> None:
    for number, (ended, started) in enumerate(zip(ends, starts[1:], strict=False)):
        delay = timedelta(minutes=DELAYS_MINUTES[min(number, len(DELAYS_MINUTES) - 1)])
        assert ended + delay <= started <= ended + delay + timedelta(seconds=620)


@given(GOALS, BRANCH_SETS, LIMITS, st.integers(1, 14), st.randoms(use_true_random=False))
@example(dict.fromkeys(BRANCHES[:7], (Verb.DELETE,)), set(), Limits(), 0, Random(0))  # noqa: S311 - no secret depends on it
@settings(max_examples=40)
def test_no_hour_sees_more_deletes_than_the_brake_allows(
    goals: dict[str, tuple[Verb, ...]], failing: set[str], limits: Limits, beside: int, random: Random
) -> None:
    doomed = sum(verbs == (Verb.DELETE,) for verbs in goals.values())
    creates = sum(verbs == (Verb.CREATE,) for verbs in goals.values())
    clock = Clock(dict(goals), live=doomed + beside, limits=limits)
    run_passes(clock, random, failing, set(), hours=6, pushes=True)
    done = [(time, live) for time, live, branch in clock.deletes if branch not in failing]
    for time, live in done:
        within = sum(time <= at < time + BRAKE_WINDOW for at, _ in done)
        assert within <= max(count_allowed_deletes(number, limits) for number in range(live, live + creates + 1))


@given(GOALS, LIMITS, st.integers(1, 14), st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_all_that_the_limits_allow_is_done_in_the_end(
    goals: dict[str, tuple[Verb, ...]], limits: Limits, beside: int, random: Random
) -> None:
    doomed = sum(verbs == (Verb.DELETE,) for verbs in goals.values())
    clock = Clock(dict(goals), live=doomed + beside, limits=limits)
    run_passes(clock, random, set(), set(), hours=24)
    left = {branch: verbs for branch, verbs in clock.goals.items() if verbs}
    assert all(verbs == (Verb.DELETE,) for verbs in left.values())
    assert not left or count_allowed_deletes(clock.live, limits) == 0
