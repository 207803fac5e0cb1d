"""The plan of a pass: nothing is started twice, failures come again later and later, and the brake brakes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.deploy_ops.core.plan.remembered import BegunDelete, Ending, Judgement, Remembered, Removal
from include.deploy_ops.core.plan.schedule import (
    GO_ON,
    Circumstances,
    count_allowed_deletes,
    count_delay_minutes,
    schedule,
)
from include.deploy_ops.core.plan.work import Difference, Hold, HoldKind, Plan, Verb, Work
from include.deploy_ops.core.policy.keys import Limits
from tests.worlds.values.examples import make_project, sha

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
LIMITS = make_project().limits


def work(branch: str = "dev-x", verb: Verb = Verb.DEPLOY, head: str = sha("b")) -> Work:
    return Work(verb, branch, head, f"shop-{branch}", f"id-{branch}", "because", observed="d1", digest="01234567")


def plan(*works: Work, live: int = 1, max_live: int = 20, limits: Limits = LIMITS, **given: Any) -> Plan:
    return schedule(Difference(works, (), live), Circumstances(now=NOW, policy="p", **given), limits, max_live)


def limits(**changes: Any) -> Limits:
    return LIMITS.model_copy(update=changes)


def remember(**parts: Any) -> dict[str, Any]:
    return {"remembered": {"dev-x": Remembered(**parts)}}


def started(plan: Plan) -> list[str]:
    return [action.run_id for action in plan.actions]


def test_due_work_starts_as_its_first_attempt() -> None:
    assert started(plan(work())) == ["dev-x~deploy~bbbbbbbbbbbb~01234567~1"]


def test_the_attempt_follows_the_finished_ones() -> None:
    assert started(plan(work(), finished={work().name: 4})) == ["dev-x~deploy~bbbbbbbbbbbb~01234567~5"]


def test_work_in_flight_is_held() -> None:
    made = plan(work(), in_flight={"dev-x": "some-run"})
    assert (made.actions, str(made.holds[0])) == ((), "deploy dev-x held: in flight: some-run")


def list_passes(*heads: str, minutes: int = 60) -> list[timedelta]:
    """Return when passes are made for a hold that stays, each head's for so many minutes, if nothing else happens."""
    passes: list[timedelta] = []
    now, pending = NOW, dict[str, datetime]()
    while now < NOW + len(heads) * timedelta(minutes=minutes):
        passes.append(now - NOW)
        awaits = heads[int(passes[-1] / timedelta(minutes=minutes))]
        hold = Hold("production", "deploy", "GitHub has not computed the merge yet", awaits)
        made = schedule(Difference((), (hold,), 0), Circumstances(now, "p", pending=pending), LIMITS, 20)
        pending = {awaits: pending.get(awaits, now)}
        assert made.wake_at is not None
        now = made.wake_at
    return passes


def test_what_is_awaited_for_an_hour_is_looked_for_within_seconds_at_first_and_in_few_passes() -> None:
    passes = list_passes(sha("a"))
    assert passes[:4] == [timedelta(seconds=second) for second in (0, 10, 20, 40)]
    assert len(passes) <= 20


def test_what_else_is_awaited_is_looked_for_within_seconds_again() -> None:
    passes = list_passes(sha("a"), sha("b"))
    first = next(number for number, time in enumerate(passes) if time >= timedelta(hours=1))
    assert passes[first + 1] - passes[first] == timedelta(seconds=10)


def test_of_several_that_are_awaited_the_newest_is_looked_for_first() -> None:
    holds = tuple(Hold(name, "deploy", "not yet", name) for name in ("old", "new"))
    pending = {"old": NOW - timedelta(hours=1), "new": NOW - timedelta(seconds=30)}
    made = schedule(Difference((), holds, 0), Circumstances(NOW, "p", pending=pending), LIMITS, 20)
    assert made.wake_at == NOW + timedelta(seconds=30)


def test_a_pass_is_made_when_the_first_gate_may_open() -> None:
    times = (NOW + timedelta(hours=2), NOW + timedelta(minutes=1), None)
    holds = tuple(Hold("production", "deploy", "window opens", opens_at=each) for each in times)
    assert schedule(Difference((), holds, 0), Circumstances(NOW, "p"), LIMITS, 20).wake_at == times[1]


def test_a_judged_head_counts_as_deployed() -> None:
    judged = Judgement(sha("b"), "d1", "p", "only docs")
    assert plan(work(), **remember(judgement=judged)) == Plan((), (), 1)


@pytest.mark.parametrize("judged", [(sha("a"), "d1", "p"), (sha("b"), "d2", "p"), (sha("b"), "d1", "other")])
def test_a_judgement_of_something_else_counts_for_nothing(judged: tuple[str, str, str]) -> None:
    assert started(plan(work(), **remember(judgement=Judgement(*judged, "only docs"))))


def test_a_removed_preview_stays_away_until_its_head_moves() -> None:
    create = work(verb=Verb.CREATE)
    held = plan(create, **remember(removal=Removal(create.head, "by ann: too dear")))
    assert "by ann: too dear, until" in str(held.holds[0])
    assert started(plan(create, **remember(removal=Removal(sha("a"), "by ann"))))


def failed(minutes_ago: float, *, is_permanent: bool = False, name: str = "") -> dict[str, Any]:
    ended = NOW - timedelta(minutes=minutes_ago)
    return remember(endings={"deploy": Ending(name or work().name, ended, True, is_permanent, "boom")})


def test_a_permanent_failure_holds() -> None:
    made = plan(work(), **failed(10_000, is_permanent=True))
    assert "held: boom; push a fix" in str(made.holds[0])
    assert made.wake_at is None


def test_a_permanent_failure_of_other_work_holds_nothing() -> None:
    assert started(plan(work(), **failed(0, is_permanent=True, name="dev-x~deploy~aaaaaaaaaaaa~01234567")))


@pytest.mark.parametrize(
    ("attempts", "minutes"), [(1, 1), (2, 2), (3, 4), (4, 8), (6, 32), (7, 60), (8, 60), (500, 60)]
)
def test_a_failure_comes_again_after_a_growing_delay(attempts: int, minutes: int) -> None:
    assert count_delay_minutes(attempts) == minutes
    finished = {work().name: attempts}
    early = plan(work(), finished=finished, **failed(minutes - 0.1))
    assert early.actions == ()
    assert early.wake_at is not None
    assert 0 < (early.wake_at - NOW).total_seconds() <= 6.1
    assert f"held: boom; attempt {attempts + 1} at" in str(early.holds[0])
    assert started(plan(work(), finished=finished, **failed(minutes)))


def test_a_hibernation_that_was_not_due_when_it_was_tried_comes_again_and_one_that_was_done_does_not() -> None:
    """Somebody was at work in the preview: the verdict stands, and is tried once more."""
    rest = replace(work(verb=Verb.HIBERNATE), due_at=NOW - timedelta(hours=2))
    done = Ending(rest.name, NOW - timedelta(hours=1))
    assert plan(rest, **remember(endings={"hibernate": done})) == plan()
    assert started(plan(rest, **remember(endings={"hibernate": replace(done, is_skipped=True)})))
    early = plan(rest, **remember(endings={"hibernate": replace(done, ended_at=NOW, is_skipped=True)}))
    assert "tried before, and due again; attempt 2 at" in str(early.holds[0])


REQUEST = replace(work(verb=Verb.REQUEST), base=sha("c"))


def rejected(asked: Work) -> dict[str, Any]:
    """Return what is remembered after a person's no, under whichever policy."""
    ending = Ending("dev-x~request~bbbbbbbbbbbb~old", NOW, True, True, "rejected by ann")
    return remember(endings={asked.subject: ending, "request": ending})


def test_a_rejection_outlasts_an_edit_of_the_policy() -> None:
    made = plan(replace(REQUEST, digest="76543210"), **rejected(REQUEST))
    assert (made.actions, str(made.holds[0])) == (
        (),
        "request dev-x held: rejected by ann; a new head asks again, and so does clearing the run",
    )


@pytest.mark.parametrize("moved", [{"head": sha("d")}, {"base": sha("d")}, {"observed": "d2"}])
def test_a_rejection_ends_when_what_was_asked_moved(moved: dict[str, Any]) -> None:
    assert started(plan(replace(REQUEST, **moved), **rejected(REQUEST)))


def test_a_rejection_holds_no_deploy_that_needs_no_answer() -> None:
    assert started(plan(replace(REQUEST, verb=Verb.DEPLOY), **rejected(REQUEST)))


def test_a_hold_tells_a_target_from_a_branch_of_its_name() -> None:
    branch, target = work("prod"), replace(work("main"), target="prod")
    made = plan(branch, target, blocked={"preview": "paused", "prod": "paused"})
    assert sorted((hold.environment, hold.home) for hold in made.holds) == [("prod", "prod"), ("prod", "target.prod")]


def test_a_failure_whose_run_was_purged_comes_again_all_the_same() -> None:
    assert plan(work(), **failed(0.5)).actions == ()
    assert started(plan(work(), **failed(1))) == ["dev-x~deploy~bbbbbbbbbbbb~01234567~1"]


def test_a_failing_update_does_not_hide_a_failing_deploy() -> None:
    update = work(verb=Verb.UPDATE)
    endings = {each.verb.value: Ending(each.name, NOW, True, True, "boom") for each in (work(), update)}
    made = plan(work(), update, **remember(endings=endings))
    assert made.actions == ()
    assert [hold.what for hold in made.holds] == ["deploy", "update"]


def test_blocked_work_is_told() -> None:
    made = plan(work(), blocked={"preview": "mode: plan, nothing is written"})
    assert (made.actions, made.holds[0].reason) == ((), "mode: plan, nothing is written")


def deletes(count: int) -> list[Work]:
    return [work(f"dev-{number:02}", Verb.DELETE) for number in range(count)]


@pytest.mark.parametrize(("live", "allowed"), [(1, 5), (3, 5), (4, 1), (7, 1), (8, 2), (20, 5), (100, 5)])
def test_the_brake_allows(live: int, allowed: int) -> None:
    assert count_allowed_deletes(live, LIMITS) == allowed


def test_past_the_brake_deletes_are_held_and_the_rest_proceeds() -> None:
    made = plan(*deletes(7), work(), live=100)
    assert sum("~delete~" in run for run in started(made)) == 5
    assert "dev-x~deploy~bbbbbbbbbbbb~01234567~1" in started(made)
    assert sum("the brake" in hold.reason for hold in made.holds) == 2


def test_after_a_hole_in_the_memory_nothing_past_the_brake_goes_by_itself_for_a_day() -> None:
    since = NOW - timedelta(hours=2)
    made = plan(*deletes(7), work(), live=100, remembers_since=since)
    assert started(made) == ["dev-x~deploy~bbbbbbbbbbbb~01234567~1"]  # a person may have said no to any of them
    assert len(made.braked) == 7
    assert "a person's no may be forgotten" in made.holds[0].reason
    assert made.wake_at == since + timedelta(hours=24)
    assert len(started(plan(*deletes(5), live=100, remembers_since=since))) == 5  # of so few nobody was asked
    released = frozenset(each.subject for each in deletes(7))
    assert len(started(plan(*deletes(7), live=100, remembers_since=since, released=released))) == 7
    assert len(started(plan(*deletes(7), live=100, remembers_since=NOW - timedelta(hours=24)))) == 5


def test_the_brake_counts_the_last_hour_only() -> None:
    recent = tuple(BegunDelete(NOW - timedelta(minutes=59), f"gone-{number}") for number in range(4))
    assert len(started(plan(*deletes(3), live=96, begun_deletes=recent))) == 1
    untold = [replace(each, deployment_id="") for each in recent]  # as releases before 0.3.0 wrote them
    assert len(started(plan(*deletes(3), live=96, begun_deletes=untold))) == 1
    old = tuple(BegunDelete(NOW - timedelta(minutes=61), f"gone-{number}") for number in range(4))
    assert len(started(plan(*deletes(3), live=96, begun_deletes=old))) == 3


def test_a_delete_that_fails_again_and_again_takes_the_room_of_one_deployment() -> None:
    failing, *healthy = deletes(6)
    tries = tuple(BegunDelete(NOW - timedelta(minutes=ago), failing.deployment_id) for ago in (1, 3, 7, 15, 31))
    made = plan(failing, *healthy, live=100, begun_deletes=tries, finished={failing.name: 5})
    assert [action.work.branch for action in made.actions] == [*(each.branch for each in healthy[:4]), failing.branch]
    (held,) = made.holds
    assert "the brake: 1 deletes in the last hour and 5 due" in held.reason
    assert made.wake_at == NOW + timedelta(hours=1)


def test_what_was_released_outlasts_an_edit_of_the_policy() -> None:
    asked = deletes(7)
    released = frozenset(each.subject for each in asked)
    assert len(started(plan(*(replace(each, digest="76543210") for each in asked), live=100, released=released))) == 7
    by_name = frozenset(each.name for each in asked)  # as 0.2 noted it
    assert len(started(plan(*asked, live=100, released=by_name))) == 7


def test_max_live_holds_new_ones_the_newest_head_goes_first() -> None:
    creates = [work(f"dev-{digit}", Verb.CREATE, sha(digit)) for digit in "abc"]
    ages = {sha("a"): NOW - timedelta(hours=1), sha("b"): NOW, sha("c"): NOW - timedelta(1)}
    made = plan(*creates, live=19, max_live=20, committed_at=ages)
    assert [action.work.branch for action in made.actions] == ["dev-b"]
    assert all("max_live 20" in hold.reason for hold in made.holds)


def test_a_date_in_the_future_counts_as_now() -> None:
    creates = [work(f"dev-{digit}", Verb.CREATE, sha(digit)) for digit in "ab"]
    ages = {sha("a"): NOW, sha("b"): NOW + timedelta(days=9999)}
    made = plan(*creates, live=19, max_live=20, committed_at=ages)
    assert [action.work.branch for action in made.actions] == ["dev-a"]


def test_creates_in_flight_count_as_live() -> None:
    assert plan(work(verb=Verb.CREATE), live=19, max_live=20, creates_in_flight=1).actions == ()


def test_updates_are_few_at_a_time() -> None:
    updates = [work(f"dev-{number}", Verb.UPDATE) for number in range(9)]
    assert len(started(plan(*updates, updates_in_flight=2))) == 3


def test_an_update_waits_for_the_deploy_of_its_environment() -> None:
    made = plan(work(), work(verb=Verb.UPDATE))
    assert [action.work.verb for action in made.actions] == [Verb.DEPLOY]


def test_a_pass_starts_no_more_than_its_limit_deletes_first() -> None:
    many = [*deletes(3), *(work(f"dev-{number:03}") for number in range(60))]
    made = plan(*many, live=100)
    assert len(made.actions) == LIMITS.max_actions_per_pass
    assert made.wake_at == NOW + GO_ON, "what is left over is planned soon, whether or not a run ends"
    assert plan(*many[: LIMITS.max_actions_per_pass], live=100).wake_at is None
    assert [action.work.verb for action in made.actions[:3]] == [Verb.DELETE] * 3


def target(name: str, verb: Verb = Verb.DEPLOY) -> Work:
    return replace(work(verb=verb), branch="main", target=name, deployment_id=f"id-{name}")


def test_what_may_not_start_takes_no_room_from_what_may() -> None:
    paused = [work(f"dev-{number:02}") for number in range(60)]
    made = plan(*paused, target("staging"), target("production"), blocked={"preview": "paused: DAG shop.preview"})
    assert [action.work.target for action in made.actions] == ["staging", "production"]
    assert Counter(hold.reason for hold in made.holds) == {"paused: DAG shop.preview": 60}


def test_a_pass_starts_no_more_than_airflow_maps_and_says_so() -> None:
    many = [work(f"dev-{number:03}") for number in range(9)]
    made = plan(*many, limits=limits(max_actions_per_pass=8), dispatches_max=3)
    assert len(made.actions) == 3
    said = "max_actions_per_pass 8, of which Airflow's max_map_length leaves 3; the next pass goes on"
    assert {hold.reason for hold in made.holds} == {said}
    assert len(plan(*many, limits=limits(max_actions_per_pass=8), dispatches_max=8).actions) == 8


def test_many_of_one_kind_leave_each_other_kind_its_share() -> None:
    many = [work(f"dev-{number:02}", Verb.CREATE) for number in range(60)]
    due = [*many, work("main", Verb.PROMOTE), target("staging"), target("production", Verb.REQUEST)]
    made = plan(*due, live=0, max_live=100, limits=limits(max_actions_per_pass=5))
    assert Counter(action.work.verb for action in made.actions) == {
        Verb.CREATE: 2,
        Verb.DEPLOY: 1,
        Verb.REQUEST: 1,
        Verb.PROMOTE: 1,
    }
    assert made.actions[0].work.verb is Verb.CREATE


WORKS = st.lists(
    st.builds(work, st.sampled_from([f"dev-{number}" for number in range(12)]), st.sampled_from(Verb)),
    unique_by=lambda each: each.branch,
)


@given(WORKS, st.integers(0, 30), st.integers(0, 5), st.integers(1, 8))
def test_all_work_is_started_or_held_never_both(works: list[Work], live: int, recent: int, cap: int) -> None:
    begun = tuple(BegunDelete(NOW, f"gone-{number}") for number in range(recent))
    made = plan(*works, live=live, limits=limits(max_actions_per_pass=cap), begun_deletes=begun)
    names = sorted([action.work.branch for action in made.actions] + [hold.environment for hold in made.holds])
    assert names == sorted(each.branch for each in works)
    assert len(set(started(made))) == len(made.actions) <= cap
    dying = sum(action.work.verb is Verb.DELETE for action in made.actions)
    assert dying + recent <= max(count_allowed_deletes(live + recent, LIMITS), recent)


def test_a_rollback_whose_run_failed_or_ended_without_a_report_is_never_tried_again() -> None:
    undoing = replace(target("production"), undoes="d1", reason="rollback from bbbbbbb to 0000000: 2 import errors")
    assert len(plan(undoing).actions) == 1
    ending = Ending(undoing.name, NOW - timedelta(days=9), is_failure=True, cause="its run ended without a report")
    made = plan(undoing, remembered={undoing.slug: Remembered({"rollback": ending})}, finished={undoing.name: 1})
    assert (made.actions, made.wake_at, made.holds[0].kind) == ((), None, HoldKind.FAILED)
    assert "that failed, and is not tried again by itself: its run ended without a report" in str(made.holds[0])


def test_a_rollback_is_held_where_nothing_may_start() -> None:
    undoing = replace(target("production"), undoes="d1")
    for why in ("mode: plan", "paused"):
        made = plan(undoing, blocked={"production": why})
        assert (made.actions, made.holds[0].kind, made.holds[0].reason) == ((), HoldKind.FROZEN, why)
