"""Rows: every environment has one, which says what was decided, and stays as it is while nothing moves."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from pydantic import TypeAdapter

from include.deploy_ops.core.cleanup.verdict import Standing, Verdict
from include.deploy_ops.core.history import DeployHistory, read_history
from include.deploy_ops.core.model import Branch, DeploymentStatus
from include.deploy_ops.core.naming import PROMOTION_SLUG, slug_branch
from include.deploy_ops.core.plan.outcome import OUTCOMES_MAX, Ended, Outcome
from include.deploy_ops.core.plan.remembered import Remembered, Removal
from include.deploy_ops.core.plan.schedule import Circumstances, schedule
from include.deploy_ops.core.plan.work import Hold, HoldKind, Plan, Remedy
from include.deploy_ops.core.policy.keys import Environment, Promotion, PullRequestSource, Target
from include.deploy_ops.core.preview.desired import RepositorySnapshot, derive_previews
from include.deploy_ops.core.preview.observed import Observed
from include.deploy_ops.core.target.comparison import Source, TargetState, compare_target
from include.deploy_ops.core.view.needs import Need
from include.deploy_ops.core.view.pass_record import PassRecord
from include.deploy_ops.core.view.row import Row, State
from include.deploy_ops.core.view.rows import REMOVED_FOR, ROW_CAUSE_LENGTH_MAX, make_rows
from tests.worlds.values.examples import OWNER, PLANE, make_deployment, make_project, make_pull, sha
from tests.worlds.values.generated import World, worlds

if TYPE_CHECKING:
    from include.deploy_ops.core.policy.keys import Project

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HEAD = sha("a")
NO_PLAN = Plan((), (), 1)
_ROWS = TypeAdapter(dict[str, Row])


def plan_with(*holds: Hold) -> Plan:
    """Return a plan that starts nothing."""
    return Plan((), holds, 1)


def look(
    plan: Plan = NO_PLAN, status: DeploymentStatus = DeploymentStatus.HEALTHY, head: str = HEAD, **changes: Any
) -> PassRecord:
    """Return what a pass sees of one branch with a preview that runs `HEAD`."""
    deployment = make_deployment("dev-a", status=status)
    history = DeployHistory(newest_id="d1", head=HEAD, commit=HEAD, kind="dags", deployed_at=NOW)
    sight = PassRecord(
        project=make_project(targets={}),
        control_plane=PLANE,
        now=NOW,
        snapshot=RepositorySnapshot((Branch("main", sha("0")), Branch("dev-a", head)), ()),
        observed=Observed((deployment,), {deployment.id: history}),
        wanted={"dev-a": head},
        targets=(),
        plan=plan,
    )
    return replace(sight, **changes)


def show(sight: PassRecord, slug: str = "dev-a") -> Row:
    """Return the environment's row."""
    return make_rows(sight)[slug]


def ending(number: int, **changes: Any) -> Ended:
    """Return how a deploy of the branch ended."""
    at = NOW - timedelta(minutes=60 - number)
    outcome = Outcome(f"dev-a~deploy~{number}", "shop.preview", "deploy", "success", at, kind="dags")
    return Ended("dev-a", replace(outcome, **changes))


NO_DEPLOYMENT = Observed((), {})
ADDRESS = "ann.b+c@mail.acme.example"


def test_a_row_holds_no_address_of_a_person_whatever_wrote_it() -> None:
    told = {"why": f"set by {ADDRESS}", "cause": f"see {ADDRESS}, {ADDRESS}", "person": ADDRESS, "approver": ADDRESS}
    sight = look(
        plan_with(Hold("dev-a", "deploy", f"overridden by v1@{HEAD[:12]}, forced by {ADDRESS}")),
        ended=[ending(1, author=ADDRESS, **told)],
        authors={HEAD: ADDRESS},
        remembered={"dev-a": Remembered(kept=f"by {ADDRESS}: the demo")},
    )
    row = show(sight)
    assert "acme.example" not in str(row)
    assert (row.author, row.kept) == ("ann.b+c@…", "by ann.b+c@…: the demo")
    assert row.why == f"overridden by v1@{HEAD[:12]}, forced by ann.b+c@…"
    (outcome,) = row.outcomes
    assert (outcome.person, outcome.approver, outcome.cause) == ("ann.b+c@…", "ann.b+c@…", "see ann.b+c@…, ann.b+c@…")
    assert show(replace(sight, before={"dev-a": row}, ended=())) == row


def test_a_row_says_what_of_it_waits_for_a_person() -> None:
    failed = ending(1, state="failed")
    holds = [
        Hold("dev-a", "deploy", "no", kind=HoldKind.FAILED),
        Hold("dev-a", "update", f"recreate it, says {ADDRESS}", remedy=Remedy.DELETE),
        Hold("dev-a", "update", "later", kind=HoldKind.WAITING),
    ]
    row = show(look(plan_with(*holds), ended=[failed]))
    retry = Need("deploy", "no", Remedy.RETRY, failed.outcome.run_id, "shop.preview")
    assert row.needs == (retry, Need("update", "recreate it, says ann.b+c@…", Remedy.DELETE))
    stored = _ROWS.dump_python({"dev-a": row}, mode="json", exclude_defaults=True)
    assert _ROWS.validate_python(stored) == {"dev-a": row}
    del stored["dev-a"]["needs"]  # as releases before 0.3 wrote it
    assert _ROWS.validate_python(stored)["dev-a"].needs == ()
    gone = show(look(observed=NO_DEPLOYMENT, wanted={}, before={"dev-a": row}))
    assert (gone.state, gone.needs) == (State.REMOVED, ())


def test_what_was_kept_ends_with_its_deployment() -> None:
    kept = Remembered(kept="by mira", kept_id=make_deployment("dev-a").id)
    row = show(look(remembered={"dev-a": kept}))
    assert row.kept == "by mira"
    assert show(look(before={"dev-a": row})).kept == "by mira"
    gone = show(look(observed=NO_DEPLOYMENT, wanted={}, before={"dev-a": row}))
    assert (gone.state, gone.kept) == (State.REMOVED, "")
    anew = replace(row, deployment_id="another")
    assert show(look(before={"dev-a": anew})).kept == ""
    assert show(look(remembered={"dev-a": replace(kept, kept_id="another")})).kept == ""


@pytest.mark.parametrize("text", ["a@b@c@d.e" * 3000, "@." * 20_000, "x" * 50_000 + "@" + "y." * 20_000])
def test_texts_without_end_are_searched_for_addresses_at_once(text: str) -> None:
    started = time.process_time()
    show(look(plan_with(Hold("dev-a", "deploy", text))))
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("sight", "state", "why"),
    [
        (look(), State.LIVE, ""),
        (look(status=DeploymentStatus.HIBERNATING), State.ASLEEP, "it hibernates; a push wakes it"),
        (look(status=DeploymentStatus.UNHEALTHY), State.UNHEALTHY, "Astro calls the Deployment UNHEALTHY"),
        (look(status=DeploymentStatus.CREATING), State.WAITING, "Astro is creating the Deployment"),
        (look(status=DeploymentStatus.DEPLOYING), State.DEPLOYING, "Astro is rolling it out"),
        (look(in_flight={"dev-a": "dev-a~update~aa~bb~1"}), State.DEPLOYING, ""),
        (look(in_flight={"dev-a": "dev-a~request~aa~bb~1"}), State.APPROVAL, ""),
        (
            look(plan_with(Hold("dev-a", "deploy", "no", kind=HoldKind.FAILED))),
            State.FAILED,
            "deploy: no",
        ),
        (look(plan_with(Hold("dev-a", "deploy", "soon", kind=HoldKind.FAILING))), State.FAILING, "deploy: soon"),
        (look(plan_with(Hold("dev-a", "deploy", "paused", kind=HoldKind.FROZEN))), State.FROZEN, "deploy: paused"),
        (look(plan_with(Hold("dev-a", "deploy", "overridden"))), State.HELD, "deploy: overridden"),
        (look(plan_with(Hold("dev-a", "update", "later", kind=HoldKind.WAITING))), State.WAITING, "update: later"),
        (look(plan_with(Hold("dev-b", "deploy", "another's"))), State.LIVE, ""),
        (look(plan_with(Hold("dev-a", "deploy", "a target's", slug="target.dev-a"))), State.LIVE, ""),
        (look(plan_with(Hold("dev-a", "promote", "the deploy branch's", slug=PROMOTION_SLUG))), State.LIVE, ""),
        (look(observed=NO_DEPLOYMENT), State.WAITING, "there is no Deployment"),
        (
            look(plan_with(Hold("dev-a", "create", "max_live", kind=HoldKind.WAITING)), observed=NO_DEPLOYMENT),
            State.WAITING,
            "create: max_live",
        ),
    ],
    ids=lambda each: each.value if isinstance(each, State) else "",
)
def test_a_row_says_how_it_is_in_one_word(sight: PassRecord, state: State, why: str) -> None:
    row = show(sight)
    assert (row.state, row.why) == (state, why)


def test_what_failed_for_good_counts_before_what_waits() -> None:
    holds = [
        Hold("dev-a", "update", "one at a time", kind=HoldKind.WAITING),
        Hold("dev-a", "deploy", "no", kind=HoldKind.FAILED),
    ]
    row = show(look(plan_with(*holds)))
    assert row.state is State.FAILED
    assert (row.why, row.holds) == ("deploy: no", ("update: one at a time",))


def test_a_run_that_starts_now_is_at_work() -> None:
    row = show(look(in_flight={"dev-a": "dev-a~deploy~aaaaaaaaaaaa~01234567~2"}))
    assert (row.run_id, row.run_dag, row.verb) == ("dev-a~deploy~aaaaaaaaaaaa~01234567~2", "shop.preview", "deploy")


def test_a_persons_run_is_at_work_with_no_verb() -> None:
    row = show(look(in_flight={"dev-a": "manual__1"}))
    assert (row.state, row.run_id, row.verb) == (State.DEPLOYING, "manual__1", "")


def test_since_when_head_and_state_are_so_is_kept() -> None:
    first = make_rows(look())
    later = look(now=NOW + timedelta(hours=1), before=first)
    assert show(later) == first["dev-a"]
    moved = show(replace(later, wanted={"dev-a": sha("b")}, snapshot=look(head=sha("b")).snapshot))
    assert (moved.head_at, moved.state_at) == (NOW + timedelta(hours=1), NOW)
    asleep = show(look(status=DeploymentStatus.HIBERNATING, now=NOW + timedelta(hours=1), before=first))
    assert (asleep.head_at, asleep.state_at) == (NOW, NOW + timedelta(hours=1))


@pytest.mark.parametrize(
    ("first", "then", "begins_anew"),
    [
        ("dev-a~deploy~aaaaaaaaaaaa~01234567~1", "dev-a~deploy~aaaaaaaaaaaa~01234567~1", False),
        ("dev-a~deploy~aaaaaaaaaaaa~01234567~1", "dev-a~deploy~bbbbbbbbbbbb~89abcdef~1", True),
        ("dev-a~deploy~aaaaaaaaaaaa~01234567~1", "dev-a~deploy~aaaaaaaaaaaa~01234567~2", True),
        ("dev-a~update~aaaaaaaaaaaa~01234567~1", "dev-a~deploy~aaaaaaaaaaaa~01234567~1", True),
        ("manual__1", "manual__1", False),
        ("manual__1", "manual__2", True),
    ],
)
def test_work_is_under_way_since_its_own_run_was_seen(first: str, then: str, *, begins_anew: bool) -> None:
    busy = show(look(in_flight={"dev-a": first}))
    later = NOW + timedelta(minutes=9)
    row = show(look(in_flight={"dev-a": then}, now=later, before={"dev-a": busy}))
    assert (row.state, row.state_at) == (State.DEPLOYING, later if begins_anew else NOW)


def test_another_question_is_asked_since_its_own_run_was_seen() -> None:
    asked = see_question("target.production~request~aa~bb~1", NOW, {})
    rows, later = {"target.production": asked}, NOW + timedelta(hours=2)
    assert asked.state is State.APPROVAL
    assert see_question("target.production~request~aa~bb~1", later, rows).state_at == NOW
    assert see_question("target.production~request~cc~dd~1", later, rows).state_at == later


def test_what_astro_goes_on_with_after_a_run_is_under_way_since_then() -> None:
    busy = show(look(in_flight={"dev-a": "manual__1"}))
    later = NOW + timedelta(minutes=9)
    row = show(look(status=DeploymentStatus.DEPLOYING, now=later, before={"dev-a": busy}))
    assert (row.state, row.run_id, row.state_at) == (State.DEPLOYING, "", NOW)


def test_endings_are_folded_in_once_and_the_oldest_are_forgotten() -> None:
    ended = [ending(number) for number in range(OUTCOMES_MAX + 3)]
    once = make_rows(look(ended=ended))
    assert [each.run_id for each in once["dev-a"].outcomes] == [f"dev-a~deploy~{n}" for n in range(3, OUTCOMES_MAX + 3)]
    assert make_rows(look(ended=ended, before=once)) == once
    late = show(look(ended=[ending(5, cause="told again")], before=once))
    assert [each.cause for each in late.outcomes].count("told again") == 1


def test_only_the_newest_run_keeps_all_its_words() -> None:
    long = "x" * 500
    ended = [ending(number, state="failed", cause=long, why=long) for number in range(3)]
    *earlier, newest = show(look(ended=ended)).outcomes
    assert (newest.cause, newest.why) == (long, long)
    assert {(each.cause, each.why) for each in earlier} == {("x" * ROW_CAUSE_LENGTH_MAX, "x" * ROW_CAUSE_LENGTH_MAX)}


@pytest.mark.parametrize(("state", "shown"), [("success", State.WAITING), ("failed", State.FAILED)])
def test_what_was_deployed_and_does_not_show_is_not_live(state: str, shown: State) -> None:
    sight = look(ended=[ending(1, state=state)])
    history = replace(sight.observed.histories["id-dev-a"], dag_version="v2")
    observed = Observed(sight.observed.deployments, {"id-dev-a": history})
    row = show(replace(sight, observed=observed))
    assert (row.state, row.why) == (
        shown,
        "deployed, and not settled: the Deployment is to have DAGs v1 and not yet v2",
    )
    assert [need.remedy for need in row.needs] == [Remedy.RETRY] * (state == "failed")


def test_what_another_run_just_took_is_at_work() -> None:
    hold = Hold("dev-a", "deploy", "in flight: manual__1", kind=HoldKind.FLIGHT)
    assert show(look(plan_with(hold))).state is State.DEPLOYING


def test_a_deployment_that_the_policy_wants_no_more_is_not_said_to_be_gone() -> None:
    rows = make_rows(look())
    unwanted = make_project(targets={}).model_copy(update={"previews": None})
    since = NOW + timedelta(days=3)
    held = make_rows(look(before=rows, project=unwanted, now=since))
    row = held["dev-a"]
    assert (row.state, row.deployment_id, row.state_at) == (State.HELD, "id-dev-a", since)
    assert row.why.startswith("the policy wants no preview of it any more")
    assert make_rows(look(before=held, project=unwanted, now=since + timedelta(days=1))) == held


def test_author_and_pull_requests_come_from_the_open_ones() -> None:
    pulls = (
        make_pull(3, "dev-a", HEAD, author="mira", title="Orders", base_ref="staging"),
        make_pull(4, "dev-a", HEAD, author="mira", title="Orders again"),
        make_pull(5, "dev-a", HEAD, is_open=False, is_merged=True),
    )
    row = show(look(snapshot=replace(look().snapshot, pull_requests=pulls)))
    assert (row.author, row.pull, row.pull_title, row.base, row.pulls) == ("mira", 4, "Orders again", "main", (3, 4))


def test_without_a_pull_request_the_commits_author_is_shown_until_the_branch_moves() -> None:
    known = make_rows(look(authors={HEAD: "Jo"}))
    assert known["dev-a"].author == "Jo"
    assert show(look(before=known)).author == "Jo"
    assert show(replace(look(head=sha("b")), wanted={"dev-a": sha("b")}, before=known)).author == ""


def test_what_was_forced_is_shown_by_its_commit() -> None:
    sight = look()
    forced = DeployHistory(newest_id="d2", head=HEAD, commit=sha("9"), overridden_by="a rollback")
    observed = Observed(sight.observed.deployments, {"id-dev-a": forced})
    assert show(replace(sight, observed=observed)).deployed == sha("9")


@pytest.mark.parametrize(
    ("before", "now", "is_wake"),
    [
        ("hibernate", "", True),
        ("hibernate", "wake@2026-11-21", True),
        ("", "wake", True),
        ("wake", "wake", False),
        ("wake@1", "", False),
        ("", "", False),
        ("hibernate", "hibernate@2026-11-21", False),
        ("", "hibernate", False),
    ],
)
def test_a_wake_by_hand_is_seen_by_the_override(before: str, now: str, is_wake: bool) -> None:
    first = look()
    asleep = make_deployment("dev-a", override=before)
    rows = make_rows(replace(first, observed=Observed((asleep,), first.observed.histories)))
    awake = make_deployment("dev-a", override=now)
    later = replace(first, observed=Observed((awake,), first.observed.histories), before=rows, now=NOW + REMOVED_FOR)
    seen_first = NOW if before.startswith("wake") else None  # nobody knows since when
    assert show(later).woken_at == (NOW + REMOVED_FOR if is_wake else seen_first)


def test_a_preview_that_is_gone_is_shown_for_a_day_with_its_reason() -> None:
    rows = make_rows(look())
    gone = look(observed=NO_DEPLOYMENT, wanted={}, before=rows, snapshot=RepositorySnapshot((), ()))
    ended = [ending(59, verb="delete", why="the branch is gone", kind="")]
    removed = make_rows(replace(gone, ended=ended))
    row = removed["dev-a"]
    assert (row.state, row.why, row.deployment_id, row.deployed) == (State.REMOVED, "the branch is gone", "", "")
    assert make_rows(replace(gone, before=removed, now=NOW + REMOVED_FOR - timedelta(seconds=1))) == removed
    assert make_rows(replace(gone, before=removed, now=NOW + REMOVED_FOR)) == {}


def test_a_branch_that_never_had_a_deployment_leaves_nothing_behind() -> None:
    waiting = make_rows(look(observed=NO_DEPLOYMENT))
    assert make_rows(look(observed=NO_DEPLOYMENT, wanted={}, before=waiting)) == {}


def test_a_preview_removed_on_request_says_so_while_its_branch_lives_and_old_backlog_says_nothing() -> None:
    hold = Hold("dev-a", "create", "by mira: done, until the branch moves", kind=HoldKind.ENDED)
    removed = look(plan_with(hold), observed=NO_DEPLOYMENT)
    assert make_rows(removed) == {}
    row = show(replace(removed, before=make_rows(look())))
    assert (row.state, row.why) == (State.REMOVED, hold.reason)


def test_a_removal_is_not_looked_up_while_there_is_no_room_and_is_shown_all_the_same() -> None:
    ended = Hold("dev-a", "create", "by mira: done", kind=HoldKind.ENDED)
    removed = make_rows(look(plan_with(ended), observed=NO_DEPLOYMENT, before=make_rows(look())))
    full = look(plan_with(Hold("dev-a", "create", "max_live", kind=HoldKind.WAITING)), observed=NO_DEPLOYMENT)
    assert show(replace(full, before=removed)) == replace(removed["dev-a"], holds=("create: max_live",))
    moved = replace(full, before=removed, wanted={"dev-a": sha("b")}, snapshot=look(head=sha("b")).snapshot)
    assert show(moved).state is State.WAITING


def test_the_schedules_removal_is_one() -> None:
    world = World(heads={"main": sha("0"), "dev-a": HEAD})
    remembered = {"dev-a": Remembered(removal=Removal(HEAD, "by mira: done"))}
    plan = schedule(world.compare(), Circumstances(NOW, "policy", remembered=remembered), world.project.limits, 20)
    row = show(look(plan, observed=NO_DEPLOYMENT, before=make_rows(look())))
    assert row.state is State.REMOVED


def make_verdict() -> Verdict:
    """Return what cleanup decided of the branch's preview: its delete, in a day."""
    return Verdict(
        verb="delete",
        branch="dev-a",
        deployment_id="id-dev-a",
        deployment_name="shop-dev-a",
        head=HEAD,
        observed="d1",
        idle_since=NOW,
        decided_at=NOW,
        due_at=NOW + timedelta(days=1),
        reason="idle for 14 days",
        run_id="cleanup",
    )


FORCED = {"is_forced": True, "person": "mira", "run_id": "manual__1", "reason": "INC-42"}


@pytest.mark.parametrize("plan", [NO_PLAN, plan_with(Hold("dev-a", "deploy", "overridden by 8331752"))])
def test_a_persons_run_that_failed_is_shown_until_a_later_run(plan: Plan) -> None:
    failed = ending(1, state="failed", cause="no such ref; nearest: 'main'", **FORCED)
    row = show(look(plan, ended=[failed]))
    assert (row.state, row.why) == (State.FAILED, "deploy by mira: no such ref; nearest: 'main'")
    assert row.outcomes[-1].reason == "INC-42"
    kept = show(look(plan, before={"dev-a": row}))
    assert (kept.state, kept.why) == (row.state, row.why)
    assert show(look(plan, before={"dev-a": row}, ended=[ending(2, verb="update", kind="")])).state is not State.FAILED
    waiting = plan_with(Hold("dev-a", "deploy", "later", kind=HoldKind.WAITING))
    assert show(look(waiting, before={"dev-a": row})).state is State.WAITING, "its next run comes by itself"


def test_a_persons_request_that_was_rejected_is_no_failure_and_its_no_is_told() -> None:
    asked = ending(1, state="rejected", verb="request", kind="", cause="rejected by ada, because Friday", **FORCED)
    row = show(look(ended=[asked]))
    assert (row.state, row.why) == (State.LIVE, "request by mira: rejected by ada, because Friday")
    says = "overridden by 8331752, by mira, until the branch moves"
    held = show(look(plan_with(Hold("dev-a", "deploy", says)), before={"dev-a": row}))
    assert (held.state, held.why) == (State.HELD, says)
    assert show(look(before={"dev-a": row}, ended=[ending(2)])).why == ""


@pytest.mark.parametrize("verb", ["deploy", "request", "resume", "update"])
def test_a_persons_run_that_failed_is_cleared_whatever_it_was_to_do(verb: str) -> None:
    dag = "shop.production.request"
    failed = ending(1, state="failed", verb=verb, dag=dag, cause="no such ref", **FORCED)
    (need,) = show(look(ended=[ending(0, state="failed"), failed])).needs
    assert (need.what, need.why) == (verb, f"{verb} by mira: no such ref")
    assert (need.remedy, need.run_id, need.dag) == (Remedy.RETRY, "manual__1", dag)


def test_what_is_overridden_is_told_once_with_its_words() -> None:
    says = "overridden by 8331752, by mira, because INC-42, until the branch moves"
    row = show(look(plan_with(Hold("dev-a", "deploy", says))))
    assert (row.state, row.why, row.overridden, row.holds) == (State.HELD, says, says, ())
    anything = show(look(plan_with(Hold("dev-a", "anything", "two bear its mark"))))
    assert (anything.why, anything.overridden) == ("two bear its mark", "")


def test_a_request_is_no_deploy() -> None:
    row = show(look(ended=[ending(1), ending(2, verb="request", kind="dags")]))
    assert [each.kind for each in row.outcomes] == ["dags", ""]


def test_live_is_since_the_deploy_where_nobody_remembers_and_after_a_run() -> None:
    later = NOW + timedelta(days=285)
    assert show(look(now=later)).state_at == NOW
    busy = show(look(now=later, in_flight={"dev-a": "dev-a~update~aa~bb~1"}))
    assert show(look(now=later, before={"dev-a": busy})).state_at == NOW
    sick = show(look(now=later, status=DeploymentStatus.UNHEALTHY))
    assert show(look(now=later, before={"dev-a": sick})).state_at == later
    assert show(look()).deployed_kind == "dags"


RELEASE = PullRequestSource.model_validate({"from": "astro_deploy", "into": "main"})
PRODUCTION = Target(deployment="Production", pull_request=RELEASE, approval="required", merge=True)
ROLLED_BACK = DeployHistory("d2", commit=sha("8"), head=HEAD, overridden_by="8888888, by mira", deployed_at=NOW)


def see_question(run_id: str, now: datetime, before: dict[str, Row]) -> Row:
    """Return the row of production while the run asks for it."""
    deployment = make_deployment("x", id="p", name="Production")
    state = TargetState("production", PRODUCTION, None, (deployment,), ROLLED_BACK, "", Remembered())
    observed = Observed((deployment,), {"p": ROLLED_BACK})
    in_flight = {"target.production": run_id}
    sight = look(observed=observed, targets=(state,), in_flight=in_flight, now=now, before=before)
    return show(sight, "target.production")


def see_production(remembered: Remembered) -> Row:
    """Return the row of production, which was rolled back and follows no open pull request."""
    deployment = make_deployment("x", id="p", name="Production")
    state = TargetState("production", PRODUCTION, None, (deployment,), ROLLED_BACK, "", remembered)
    found = compare_target(state, "shop", "p")
    plan = plan_with(found) if isinstance(found, Hold) else NO_PLAN
    observed = Observed((deployment,), {"p": ROLLED_BACK})
    return show(look(plan, observed=observed, targets=(state,)), "target.production")


def test_a_production_that_was_rolled_back_says_so_without_a_pull_request() -> None:
    row = see_production(Remembered())
    assert (row.state, row.why) == (State.HELD, "overridden by 8888888, by mira, until resumed")
    assert (row.head, row.deployed) == (sha("8"), sha("8"))
    resumed = see_production(Remembered(resumed="d2"))
    assert (resumed.state, resumed.overridden, resumed.head) == (State.LIVE, "", sha("8"))
    assert resumed.why == "resumed, and stays as it is until a pull request is open"


def test_what_a_promotion_brought_is_followed_to_the_targets() -> None:
    promotion = Promotion.model_validate({"from": ("dev*",), "into": "staging", "deploy_branch": "astro_deploy"})
    project = make_project(targets={}, promotion=promotion)
    staging = Target(deployment="Staging", branch="astro_deploy")
    deployment = make_deployment("x", id="s", name="Staging")

    def see_staging(tip: str, deployed: str, **changes: Any) -> dict[str, Row]:
        history = DeployHistory("d1", commit=deployed, head=deployed, deployed_at=NOW)
        state = TargetState("staging", staging, Source("astro_deploy", tip), (deployment,), history, "", Remembered())
        pulls = (make_pull(3, "dev-a", HEAD), make_pull(4, "dev-b", HEAD, is_open=False))
        branches = (Branch("main", sha("0")), Branch("astro_deploy", tip))
        hold = Hold("staging", "deploy", "a turn", kind=HoldKind.WAITING, slug="target.staging")
        seen = look(
            NO_PLAN if tip == deployed else plan_with(hold),
            project=project,
            wanted={},
            snapshot=RepositorySnapshot(branches, pulls),
            observed=Observed((deployment,), {"s": history}),
            targets=(state,),
        )
        return make_rows(replace(seen, **changes))

    told = replace(ending(1), slug=PROMOTION_SLUG, promoted={3: HEAD, 4: HEAD})
    first = see_staging(sha("1"), sha("f"), ended=[told])
    assert first[PROMOTION_SLUG].carried == ((3, HEAD[:12]),), "the other one is closed"
    assert first[PROMOTION_SLUG].deployed_at == first[PROMOTION_SLUG].head_at
    assert first["target.staging"].carried == ()
    second = see_staging(sha("1"), sha("1"), before=first)
    assert second["target.staging"].carried == ((3, HEAD[:12]),)
    third = see_staging(sha("2"), sha("1"), before=second)
    assert third["target.staging"].carried == ((3, HEAD[:12]),), "it still runs what it ran"


def test_that_a_preview_will_be_deleted_is_no_state() -> None:
    verdict = make_verdict()
    hold = Hold("dev-a", "delete", "idle, deleted tomorrow", kind=HoldKind.WAITING)
    row = show(look(plan_with(hold), verdicts={"id-dev-a": verdict}))
    assert (row.state, row.holds) == (State.LIVE, ())  # it stands as the row's next step
    assert show(look(plan_with(hold))).state is State.WAITING  # another delete: the brake holds it
    asked = replace(verdict, standing=Standing.ASKED)
    waits = replace(hold, kind=HoldKind.PERSON)
    assert show(look(plan_with(waits), verdicts={"id-dev-a": asked})).state is State.LIVE


@pytest.mark.parametrize("kind", [HoldKind.FAILED, HoldKind.FAILING, HoldKind.FROZEN])
def test_that_a_preview_cannot_be_deleted_is_one(kind: HoldKind) -> None:
    hold = Hold("dev-a", "delete", "Astro is away", kind=kind)
    row = show(look(plan_with(hold), verdicts={"id-dev-a": make_verdict()}))
    assert row.state.value == kind.value


def test_the_newest_promotions_words_reach_the_deploy_branch_and_the_pull_requests() -> None:
    promotion = Promotion.model_validate({"from": ("dev*",), "into": "staging", "deploy_branch": "astro_deploy"})
    project = make_project(targets={}, promotion=promotion)
    snapshot = replace(look().snapshot, pull_requests=(make_pull(3, "dev-a", HEAD),))
    told = replace(ending(1), slug=PROMOTION_SLUG, conflicts={3: ("dags/x.py: later",), 9: ("dags/y.py: theirs",)})
    rows = make_rows(look(project=project, snapshot=snapshot, ended=[told]))
    assert rows["dev-a"].conflicts == ("dags/x.py: later",)
    assert rows[PROMOTION_SLUG].conflicts == ("dags/x.py: later", "dags/y.py: theirs")
    kept = make_rows(look(project=project, snapshot=snapshot, before=rows))
    assert (kept["dev-a"].conflicts, kept[PROMOTION_SLUG].conflicts) == (
        rows["dev-a"].conflicts,
        rows[PROMOTION_SLUG].conflicts,
    )
    both = replace(told, conflicts=dict.fromkeys((3, 9), ("dags/x.py: #3, #9 change it; #9 wins",)))
    shared = make_rows(look(project=project, snapshot=snapshot, ended=[both]))
    assert shared[PROMOTION_SLUG].conflicts == ("dags/x.py: #3, #9 change it; #9 wins",)
    over = replace(told, conflicts={})
    assert make_rows(look(project=project, snapshot=snapshot, before=rows, ended=[over]))["dev-a"].conflicts == ()


def see(world: World, plan: Plan, project: Project | None = None) -> PassRecord:
    """Return what a pass sees of a generated world."""
    deployments = tuple(each.deployment for each in world.astro)
    return PassRecord(
        project=project or world.project,
        control_plane=PLANE,
        now=NOW,
        snapshot=world.snapshot,
        observed=Observed(
            deployments, {each.id: read_history(world.records.get(each.id, ()), OWNER) for each in deployments}
        ),
        wanted={name: each.head for name, each in derive_previews(world.project, world.snapshot).wanted.items()},
        targets=(),
        plan=plan,
    )


@given(worlds())
def test_every_preview_and_every_wanted_branch_has_one_row_and_nothing_else_has(world: World) -> None:
    difference = world.compare()
    sight = see(world, schedule(difference, Circumstances(NOW, "policy"), world.project.limits, 20))
    rows = make_rows(sight)
    own = {each.branch for each in world.astro if each.branch}
    assert rows.keys() == {slug_branch(branch) for branch in own | sight.wanted.keys()}
    for row in rows.values():
        assert row.state is State.DEPLOYING or not row.run_id
    # What is written is read back, and a pass that sees the same writes nothing new.
    dumped = _ROWS.dump_python(rows, mode="json", exclude_defaults=True)
    assert _ROWS.validate_python(dumped) == rows
    assert make_rows(replace(sight, before=rows, now=NOW + timedelta(days=3))) == rows


@given(worlds())
def test_what_is_due_or_held_is_seen_in_its_row(world: World) -> None:
    plan = schedule(world.compare(), Circumstances(NOW, "policy"), world.project.limits, 20)
    rows = make_rows(see(world, plan))
    for action in plan.actions:
        assert rows[action.work.slug].run_id == action.run_id
    for hold in plan.holds:
        row = rows[slug_branch(hold.environment)]
        assert (*row.holds, row.why).count(hold.said) == 1, "told once"
        assert rows[slug_branch(hold.environment)].state not in {State.LIVE, State.ASLEEP, State.UNHEALTHY}


def test_a_preview_tells_connections_that_nobody_sees_and_secrets_that_nothing_fills() -> None:
    mapping = Environment.model_validate({"connections": {"lake": "preview_lake", "api": "preview_api"}})
    project = make_project(targets={}, previews={"environment": mapping})
    sight = look(project=project, unfilled=("TOKEN",))
    row = show(sight)
    assert (row.connections, row.unfilled) == (("AIRFLOW_CONN_API", "AIRFLOW_CONN_LAKE"), ("TOKEN",))
    many = show(replace(sight, unfilled=tuple(f"K{number}" for number in range(25))))
    assert (len(many.unfilled), many.unfilled[-1]) == (21, "… and 5 more")
    bare = show(replace(sight, observed=NO_DEPLOYMENT))
    assert (bare.connections, bare.unfilled) == ((), ())
    gone = show(replace(sight, observed=NO_DEPLOYMENT, wanted={}, before={"dev-a": row}))
    assert (gone.state, gone.connections, gone.unfilled) == (State.REMOVED, (), ())


def test_what_nothing_asks_for_is_not_shown_also_where_it_waited_to_be_looked_at() -> None:
    waits = plan_with(Hold("dev-a", "create", "not known yet", kind=HoldKind.WAITING))
    waiting = make_rows(look(waits, observed=NO_DEPLOYMENT))
    assert waiting["dev-a"].state is State.WAITING
    needless = plan_with(Hold("dev-a", "create", "changes nothing of this project", kind=HoldKind.NEEDLESS))
    assert make_rows(look(needless, observed=NO_DEPLOYMENT, before=waiting)) == {}
    assert make_rows(look(needless, observed=NO_DEPLOYMENT)) == {}
    had = make_rows(look(observed=NO_DEPLOYMENT, wanted={}, before={"dev-a": show(look())}))
    row = show(look(needless, observed=NO_DEPLOYMENT, before=had))
    assert (row.state, row.why) == (State.REMOVED, "changes nothing of this project")
