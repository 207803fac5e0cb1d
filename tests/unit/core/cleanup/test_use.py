"""Who works in a preview, as its own Airflow tells: what keeps it, for how long, and that a liar keeps only its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.deploy_ops.core.cleanup.comparison import ExpiryFacts, compare_expiry
from include.deploy_ops.core.cleanup.expiry import Subject, foresee, is_asked, judge, measure_activity
from include.deploy_ops.core.cleanup.use import (
    ASKED_AGAIN,
    FUTURE_MAX,
    NEVER_ASKED,
    RunFacts,
    Use,
    note_answer,
    note_silence,
)
from include.deploy_ops.core.cleanup.verdict import Verdict
from include.deploy_ops.core.model import Branch, DeploymentStatus
from include.deploy_ops.core.plan.work import Hold, HoldKind, Verb, Work
from include.deploy_ops.core.preview.desired import DesiredPreviews
from include.deploy_ops.core.preview.observed import Observed
from tests.worlds.values.examples import PLANE, make_project
from tests.worlds.values.subjects import DAY, LIMITS, NOW, make_subject

HOUR = timedelta(hours=1)
PROJECT = make_project(
    previews={
        "hibernate_after": LIMITS.hibernate_after,
        "delete_after": LIMITS.delete_after,
        "activity": ("deploys", "runs"),
    }
)
ASLEEP = DeploymentStatus.HIBERNATING
USES = st.builds(
    Use,
    asked_at=st.integers(0, 48).map(lambda hours: NOW - hours * HOUR),
    run_at=st.none() | st.integers(0, 24 * 60).map(lambda hours: NOW - hours * HOUR),
    running=st.sampled_from(["", "", "a run of orders is in flight"]),
    problem=st.sampled_from(["", "", "HTTP 503"]),
)
PREVIEWS = st.builds(
    make_subject,
    st.just("dev-a"),
    st.integers(0, 24 * 40).map(lambda hours: hours * HOUR),
    status=st.sampled_from([DeploymentStatus.HEALTHY, ASLEEP]),
)


def decide(subject: Subject, standing: Verdict | None = None, now: datetime = NOW) -> tuple[str, str, Verdict | None]:
    """Return the finding's word and reason, and the verdict."""
    known = {subject.deployment.id: standing} if standing else {}
    expiry = judge([subject], known, LIMITS, run_id="run", now=now)
    return expiry.findings[0].verdict, expiry.findings[0].reason, expiry.verdicts.get(subject.deployment.id)


def compare(subject: Subject, verdict: Verdict, use: Use, now: datetime = NOW) -> list[Work | Hold]:
    """Return what control would do about a verdict."""
    deployment = subject.deployment
    return list(
        compare_expiry(
            PROJECT,
            control_plane=PLANE,
            targets=(),
            desired=DesiredPreviews(
                {subject.branch: Branch(subject.branch, subject.head)}, {}, frozenset({subject.branch})
            ),
            observed=Observed((deployment,), {deployment.id: subject.history}),
            facts=ExpiryFacts({deployment.id: verdict}, uses={deployment.id: use}),
            now=now,
        )
    )


def asked(**changes: object) -> Use:
    return replace(Use(NOW), **changes)  # type: ignore[arg-type]


def test_a_persons_run_keeps_it_awake_and_the_verdict_names_what_counted() -> None:
    subject = make_subject(idle=5 * DAY, use=asked(run_at=NOW - DAY))
    assert decide(subject)[:2] == ("keep", "a person started a run at 2026-11-19 05:00 UTC")
    word, reason, verdict = decide(make_subject(idle=5 * DAY, use=asked(run_at=NOW - 3 * DAY)))
    assert (word, verdict is not None) == ("hibernate", True)
    assert reason == (
        "idle since 2026-11-17 05:00 UTC: last push 2026-11-15 05:00, last run by a person 2026-11-17 05:00"
    )
    assert decide(make_subject(idle=5 * DAY, use=asked()))[1].endswith("last push 2026-11-15 05:00, no run by a person")


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (asked(running="a run of orders is in flight"), "a run of orders is in flight"),
        (asked(problem="HTTP 503"), "whether somebody works there is not known: HTTP 503"),
        (NEVER_ASKED, "whether somebody works there is not known: its Airflow was never asked"),
    ],
)
def test_who_may_be_at_work_is_never_let_hibernate(use: Use, said: str) -> None:
    word, reason, verdict = decide(make_subject(idle=5 * DAY, use=use))
    assert (word, verdict) == ("keep", None)
    assert reason.startswith(f"{said}; active at 2026-11-15")


def test_what_was_told_stands_while_it_sleeps() -> None:
    told = asked(asked_at=NOW - 20 * DAY, run_at=NOW - 12 * DAY, running="a run of orders is in flight")
    sleeper = make_subject(idle=20 * DAY, status=ASLEEP, use=told)
    assert measure_activity(sleeper, NOW) == NOW - 12 * DAY
    word, reason, _ = decide(sleeper)  # nothing runs in one that sleeps
    assert (word, reason) == ("keep", "a person started a run at 2026-11-08 05:00 UTC; it hibernates")
    unknown = replace(sleeper, use=replace(told, problem="HTTP 503"))
    assert decide(unknown)[0] == "keep"


def test_only_who_is_due_by_pushes_and_deploys_is_asked() -> None:
    assert is_asked(make_subject(idle=2 * DAY), LIMITS, NOW)
    assert not is_asked(make_subject(idle=2 * DAY - HOUR), LIMITS, NOW)
    only_delete = replace(LIMITS, hibernate_after=None)
    assert not is_asked(make_subject(idle=13 * DAY - HOUR), only_delete, NOW)
    assert is_asked(make_subject(idle=13 * DAY), only_delete, NOW)
    assert not is_asked(make_subject(idle=99 * DAY), replace(LIMITS, hibernate_after=None, delete_after=None), NOW)
    for changes in ({"kept": "by mira"}, {"labels": ("keep-preview",)}, {"in_flight": "run"}, {"committed_at": None}):
        assert not is_asked(make_subject(idle=99 * DAY, **changes), LIMITS, NOW), changes


def test_an_old_answer_says_nothing_of_one_that_was_pushed_to_since() -> None:
    subject = make_subject(idle=HOUR, use=asked(asked_at=NOW - 3 * DAY, problem="HTTP 503"))
    assert decide(subject)[1] == "active at 2026-11-20 04:00 UTC"
    step = foresee(subject, None, LIMITS, "0 6 * * *", NOW)
    assert step is not None
    assert "not known" not in step.reason


def test_the_next_step_names_who_keeps_it() -> None:
    for use, said in (
        (asked(run_at=NOW - DAY), "if nobody uses it; a person started a run at 2026-11-19 05:00 UTC"),
        (
            asked(running="a run of orders is in flight"),
            "if nobody uses it; a run of orders is in flight; active at 2026-11-15 05:00 UTC",
        ),
    ):
        step = foresee(make_subject(idle=5 * DAY, use=use), None, LIMITS, "0 6 * * *", NOW)
        assert step is not None
        assert (step.what, step.reason) == ("hibernate", said)


def test_a_run_ends_the_notice_of_a_delete() -> None:
    subject = make_subject(idle=13 * DAY, use=asked())
    told = decide(subject)[2]
    assert told is not None
    assert (told.verb, told.due_at, told.is_final) == ("delete", NOW + DAY, False)
    used = replace(subject, use=asked(run_at=NOW - HOUR))
    assert decide(used, told)[2] is None
    due = replace(told, due_at=NOW)
    (hold,) = compare(subject, due, asked(run_at=NOW - HOUR))
    assert isinstance(hold, Hold)
    assert hold.reason == "a person started a run at 2026-11-20 04:00 UTC"


def test_runs_keep_it_for_as_long_again_and_no_longer() -> None:
    busy = asked(run_at=NOW, running="a run of orders is in flight")
    assert decide(make_subject(idle=27 * DAY - HOUR, use=busy))[0] == "keep"
    word, reason, told = decide(make_subject(idle=27 * DAY, use=busy))
    assert told is not None
    assert (word, told.verb, told.due_at, told.is_final) == ("told", "delete", NOW + DAY, True)
    assert "nothing was pushed, deployed or woken for twice delete_after" in reason
    # Nothing that it tells from then on ends the delete, and it is not let hibernate over a run.
    later = NOW + DAY
    subject = make_subject(idle=28 * DAY, now=later, use=replace(busy, asked_at=later, run_at=later))
    assert decide(subject, told, later)[0] == "delete"
    assert [
        each.verb for each in compare(subject, told, replace(busy, asked_at=later), later) if isinstance(each, Work)
    ]
    assert [each for each in compare(subject, replace(told, due_at=later + DAY), replace(busy, asked_at=later), later)
            if isinstance(each, Work) and each.verb is Verb.HIBERNATE] == []  # fmt: skip


def test_who_may_be_at_work_is_asked_again_in_an_hour_and_who_sleeps_is_not() -> None:
    subject = make_subject(idle=5 * DAY, use=asked())
    verdict = decide(subject)[2]
    assert verdict is not None
    busy = asked(running="a run of orders is in flight")
    (hold,) = compare(subject, verdict, busy)
    assert isinstance(hold, Hold)
    assert (hold.kind, hold.reason) == (
        HoldKind.WAITING,
        "a run of orders is in flight; asked again after 06:00 UTC",
    )
    (work,) = compare(subject, verdict, busy, NOW + ASKED_AGAIN)
    assert isinstance(work, Work)
    assert work.verb is Verb.HIBERNATE
    sleeper = make_subject(idle=14 * DAY, status=ASLEEP, use=asked())
    told = decide(sleeper)[2]
    assert told is not None
    later = told.due_at
    (hold,) = compare(sleeper, told, asked(problem="HTTP 503"), later)
    assert isinstance(hold, Hold)
    assert "not known: HTTP 503" in hold.reason


def test_times_of_a_liar_are_ours_at_most() -> None:
    facts = RunFacts((NOW + 400 * DAY, NOW - DAY, NOW + FUTURE_MAX))
    assert note_answer(None, facts, NOW).run_at == NOW
    assert note_answer(None, RunFacts((NOW + 400 * DAY,)), NOW).run_at is None


def test_what_a_person_did_is_not_unlearned() -> None:
    known = asked(run_at=NOW - DAY, problem="HTTP 503")
    assert note_answer(known, RunFacts(), NOW) == asked(run_at=NOW - DAY)
    assert note_silence(known, "HTML", NOW) == asked(run_at=NOW - DAY, problem="HTML")
    assert note_answer(None, RunFacts((), ""), NOW).running == "a run is in flight"


@settings(max_examples=80)
@given(PREVIEWS, USES)
def test_whatever_it_tells_its_preview_is_never_given_up_earlier(subject: Subject, use: Use) -> None:
    severity = {"": 0, "hibernate": 1, "delete": 2}
    without, told = decide(subject)[2], decide(replace(subject, use=use))[2]
    assert severity[told.verb if told else ""] <= severity[without.verb if without else ""]
    if told is not None and told.verb == "delete":
        assert without is not None
        assert told.due_at >= without.due_at
    if use.describe_doubt(subject.deployment):
        assert told is None or told.is_final


@settings(max_examples=80)
@given(PREVIEWS, USES, st.integers(0, 24 * 40))
def test_whatever_it_tells_others_fare_as_without_it(liar: Subject, use: Use, idle_h: int) -> None:
    honest = make_subject("dev-b", idle_h * HOUR, use=asked())
    alone = judge([honest], {}, LIMITS, run_id="run", now=NOW)
    beside = judge([replace(liar, use=use), honest], {}, LIMITS, run_id="run", now=NOW)
    key = honest.deployment.id
    assert beside.verdicts.get(key) == alone.verdicts.get(key)


@settings(max_examples=80, deadline=None)
@given(st.lists(USES, min_size=1, max_size=6), st.integers(0, 23))
def test_a_liar_lives_for_twice_delete_after_and_is_told_before(uses: list[Use], hour: int) -> None:
    born = NOW - hour * HOUR
    verdict: Verdict | None = None
    for day in range(32):
        now = NOW + day * DAY
        use = uses[day % len(uses)]
        shift = now - NOW
        moved = replace(use, asked_at=now, run_at=use.run_at and use.run_at + shift)
        subject = make_subject(idle=now - born, now=now, use=moved)
        word, _, verdict = decide(subject, verdict, now)
        if word == "delete":
            assert verdict is not None
            assert now - verdict.decided_at >= LIMITS.delete_notice
            assert now - born >= 14 * DAY
            return
    raise AssertionError("it lives for ever")


@settings(max_examples=80)
@given(PREVIEWS, USES, st.integers(0, 3))
def test_no_hibernation_begins_over_what_is_known_to_be_at_work(subject: Subject, use: Use, hours: int) -> None:
    verdict = decide(replace(subject, use=asked()))[2]
    if verdict is None:
        return
    for work in compare(subject, verdict, use, NOW + hours * HOUR):
        if isinstance(work, Work) and work.verb is Verb.HIBERNATE:
            assert use.run_at is None or use.run_at <= verdict.idle_since
            assert not (use.describe_doubt(subject.deployment) and use.is_fresh(NOW + hours * HOUR))
