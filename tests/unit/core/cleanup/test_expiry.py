"""Which previews expire: idle ones hibernate, are told, then go; what is used, kept or unclear stays, and why."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from include.deploy_ops.core.cleanup.expiry import (
    Expiry,
    Question,
    Subject,
    apply_brake,
    foresee,
    judge,
    measure_activity,
    read_limits,
    refuse,
    release,
)
from include.deploy_ops.core.cleanup.oddities import report_oddities
from include.deploy_ops.core.cleanup.verdict import Standing, Verdict, drop_doubted
from include.deploy_ops.core.history import DeployHistory
from include.deploy_ops.core.model import DeploymentStatus
from include.deploy_ops.core.plan.work import Verb
from tests.worlds.values.examples import make_deployment, make_mark, make_project, sha
from tests.worlds.values.subjects import DAY, LIMITS, NOW, make_subject
from tests.worlds.values.works import make_work

HOUR = timedelta(hours=1)
CRON = "0 6 * * *"  # an hour after NOW


def judge_one(subject: Subject, standing: Verdict | None = None, **given: Any) -> tuple[str, str]:
    """Return the finding's word and reason."""
    known = {subject.deployment.id: standing} if standing else {}
    (finding,) = judge([subject], known, given.pop("limits", LIMITS), run_id="run", now=NOW, **given).findings
    return finding.verdict, finding.reason


def tell(subject: Subject, told: timedelta = timedelta(), **changes: Any) -> Verdict:
    """Return the delete verdict of an idle preview that was told so long ago."""
    expiry = judge([subject], {}, replace(LIMITS, delete_after=timedelta()), run_id="earlier", now=NOW - told)
    return replace(expiry.verdicts[subject.deployment.id], **changes)


@pytest.mark.parametrize(
    ("idle", "verdict"),
    [(2 * DAY - HOUR, "keep"), (2 * DAY, "hibernate"), (13 * DAY - HOUR, "hibernate"), (13 * DAY, "told")],
)
def test_an_idle_preview_hibernates_and_is_told_a_day_before_its_delete(idle: timedelta, verdict: str) -> None:
    assert judge_one(make_subject(idle=idle))[0] == verdict


def test_whoever_is_told_late_has_the_whole_notice() -> None:
    expiry = judge([make_subject(idle=30 * DAY)], {}, LIMITS, run_id="run", now=NOW)
    (verdict,) = expiry.verdicts.values()
    assert (verdict.verb, verdict.decided_at, verdict.due_at) == ("delete", NOW, NOW + DAY)
    assert (verdict.idle_since, verdict.observed, verdict.head) == (NOW - 30 * DAY, "d1", sha("a"))


def test_it_is_not_deleted_before_its_time_either() -> None:
    (verdict,) = judge([make_subject(idle=13 * DAY)], {}, LIMITS, run_id="run", now=NOW).verdicts.values()
    assert verdict.due_at == NOW + DAY


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kept": "by mira: demo"}, "kept by mira: demo"),
        ({"labels": ("a", "keep-preview")}, "its pull request has the label 'keep-preview'"),
        ({"in_flight": "dev-a~deploy"}, "in flight: dev-a~deploy"),
        ({"committed_at": None}, "when aaaaaaaaaaaa was committed is not known"),
        ({"woken_at": NOW - HOUR}, "active at 2026-11-20 04:00 UTC"),
        ({"created_at": NOW - HOUR}, "active at 2026-11-20 04:00 UTC"),
        ({"committed_at": NOW - HOUR}, "active at 2026-11-20 04:00 UTC"),
        ({"history": DeployHistory(active_at=NOW - HOUR)}, "active at 2026-11-20 04:00 UTC"),
    ],
)
def test_what_is_used_kept_or_unclear_stays(changes: dict[str, Any], said: str) -> None:
    subject = make_subject(idle=30 * DAY, **changes)
    assert judge_one(subject) == ("keep", said)
    assert judge([subject], {}, LIMITS, run_id="run", now=NOW).verdicts == {}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"status": DeploymentStatus.HIBERNATING}, "it hibernates"),
        ({"override": "hibernate"}, "it hibernates"),
        ({"override": "wake@2026-12-01T00:00:00Z"}, "woken until 2026-12-01T00:00:00Z"),
        ({"is_development_mode": False}, "only Deployments in development mode can hibernate"),
        ({"status": DeploymentStatus.DEPLOYING}, "it is DEPLOYING"),
    ],
)
def test_what_cannot_hibernate_is_left_awake_and_deleted_in_the_end(changes: dict[str, Any], said: str) -> None:
    verdict, reason = judge_one(make_subject(idle=3 * DAY, **changes))
    assert (verdict, reason) == ("keep", f"active at 2026-11-17 05:00 UTC; {said}")
    assert judge_one(make_subject(idle=13 * DAY, **changes))[0] == "told"


def test_who_woke_it_without_an_end_lets_it_hibernate_again() -> None:
    assert judge_one(make_subject(idle=3 * DAY, override="wake"))[0] == "hibernate"


def test_a_commit_from_the_future_tells_nothing() -> None:
    subject = make_subject(idle=3 * DAY, committed_at=NOW + 400 * DAY)
    assert measure_activity(subject, NOW) == NOW - 3 * DAY
    assert judge_one(subject)[0] == "hibernate"


def test_without_limits_everything_stays() -> None:
    none = replace(LIMITS, hibernate_after=None, delete_after=None)
    assert judge_one(make_subject(idle=300 * DAY), limits=none)[0] == "keep"


def test_a_standing_verdict_is_acted_on_when_its_time_has_come() -> None:
    subject = make_subject(idle=20 * DAY)
    assert judge_one(subject, tell(subject, 2 * DAY)) == (
        "delete",
        "idle since 2026-10-31 05:00 UTC; told at 2026-11-18 05:00 UTC",
    )
    assert judge_one(subject, tell(subject, HOUR))[0] == "told"


def test_a_verdict_of_shorter_limits_stands_as_well() -> None:
    subject = make_subject(idle=DAY)
    verdict = tell(subject, HOUR)
    expiry = judge([subject], {subject.deployment.id: verdict}, LIMITS, run_id="run", now=NOW)
    assert expiry.verdicts == {subject.deployment.id: verdict}
    assert expiry.fresh == frozenset()


@pytest.mark.parametrize(
    "changes",
    [
        {"head": sha("b")},
        {"history": DeployHistory(newest_id="d2")},
        {"history": DeployHistory(newest_id="d1", active_at=NOW - HOUR)},
        {"woken_at": NOW - HOUR},
        {"id": "another"},
        {"kept": "by mira"},
        {"labels": ("keep-preview",)},
    ],
)
def test_a_verdict_is_void_when_something_moved(changes: dict[str, Any]) -> None:
    verdict = tell(make_subject(idle=3 * DAY), 2 * DAY, due_at=NOW)
    subject = make_subject(idle=3 * DAY, **changes)
    never = replace(LIMITS, hibernate_after=None)
    expiry = judge([subject], {subject.deployment.id: verdict}, never, run_id="run", now=NOW)
    assert expiry.verdicts == {}
    assert expiry.findings[0].verdict == "keep"


def test_a_verdict_that_was_acted_on_is_done_with() -> None:
    subject = make_subject(idle=3 * DAY)
    (verdict,) = judge([subject], {}, LIMITS, run_id="run", now=NOW - HOUR).verdicts.values()
    asleep = make_subject(idle=3 * DAY, status=DeploymentStatus.HIBERNATING)
    assert judge([asleep], {verdict.deployment_id: verdict}, LIMITS, run_id="run", now=NOW).verdicts == {}


def test_what_could_not_hibernate_yet_stands_and_is_told_in_the_end() -> None:
    subject = make_subject(idle=3 * DAY)
    earlier = judge([subject], {}, LIMITS, run_id="run", now=NOW - HOUR).verdicts
    again = judge([subject], earlier, LIMITS, run_id="run", now=NOW)
    assert (again.verdicts, again.fresh) == (earlier, frozenset())
    slept = replace(subject, slept_at=NOW - HOUR / 2)  # and was woken before control looked
    (anew,) = judge([slept], earlier, LIMITS, run_id="run", now=NOW).verdicts.values()
    assert (anew.verb, anew.decided_at) == ("hibernate", NOW)
    (told,) = judge([subject], earlier, LIMITS, run_id="run", now=NOW + 10 * DAY).verdicts.values()
    assert told.verb == "delete"


@pytest.mark.parametrize("standing", [Standing.DUE, Standing.RELEASED, Standing.ASKED])
def test_a_delete_that_is_long_overdue_is_decided_and_told_anew(standing: Standing) -> None:
    subject = make_subject(idle=20 * DAY)
    verdict = tell(subject, 3 * DAY, standing=standing, due_at=NOW - DAY - HOUR)
    known = {subject.deployment.id: verdict}
    (anew,) = judge([subject], known, LIMITS, run_id="run", now=NOW).verdicts.values()
    assert (anew.decided_at, anew.due_at, anew.standing) == (NOW, NOW + DAY, Standing.DUE)
    if standing is Standing.ASKED:  # by a run that is still answered
        assert judge([subject], known, LIMITS, run_id="run", now=NOW, asking=["earlier"]).verdicts == known
        return
    step = foresee(subject, verdict, replace(LIMITS, hibernate_after=None), CRON, NOW)
    assert step is not None
    assert step.at == NOW + DAY + HOUR


def test_a_refusal_never_grows_old_and_a_short_notice_leaves_control_an_hour() -> None:
    subject = make_subject(idle=20 * DAY)
    refused = tell(subject, 9 * DAY, standing=Standing.REFUSED, due_at=NOW - 8 * DAY)
    late = tell(subject, DAY, due_at=NOW - HOUR)
    for verdict in (refused, late):
        limits = replace(LIMITS, delete_notice=HOUR / 60)
        known = {subject.deployment.id: verdict}
        assert judge([subject], known, limits, run_id="run", now=NOW).verdicts == known


def test_who_refused_a_delete_is_obeyed_until_something_moves() -> None:
    subject = make_subject(idle=20 * DAY)
    verdict = tell(subject, 2 * DAY, standing=Standing.REFUSED, person="mira")
    said = "its delete was refused by mira, until something of it moves"
    assert judge_one(subject, verdict) == ("keep", said)
    assert judge_one(make_subject(idle=20 * DAY, head=sha("b")), verdict)[0] == "told"


def test_what_an_ended_run_asked_about_is_due_again_and_what_a_living_one_asks_waits() -> None:
    subject = make_subject(idle=20 * DAY)
    verdict = tell(subject, 2 * DAY, standing=Standing.ASKED)
    assert judge_one(subject, verdict)[0] == "delete"
    word, reason = judge_one(subject, verdict, asking=["earlier"])
    assert word == "told"
    assert reason.endswith("waits for approval in cleanup run earlier")


def test_what_an_ended_run_asked_about_passes_no_brake_by_waiting() -> None:
    subject = make_subject(idle=20 * DAY)
    verdict = tell(subject, 2 * DAY, standing=Standing.ASKED)
    expiry = judge([subject], {subject.deployment.id: verdict}, LIMITS, run_id="run", now=NOW)
    assert expiry.verdicts == {subject.deployment.id: replace(verdict, standing=Standing.DUE, run_id="run")}
    asked, question = apply_brake(expiry, [], 0)
    assert asked.verdicts[subject.deployment.id].standing is Standing.ASKED
    assert len(question.verdicts) == 1


def test_the_table_says_who_and_how_long() -> None:
    subject = make_subject("dev-b", 3 * DAY, created_at=NOW - 9 * DAY)
    (found,) = judge([subject], {}, LIMITS, run_id="run", now=NOW).findings
    assert (found.branch, found.author, found.age, found.idle) == ("dev-b", "ada", 9 * DAY, 3 * DAY)
    assert found.reason == "idle since 2026-11-17 05:00 UTC"


# The brake


def judge_many(number: int) -> Expiry:
    """Return the expiry of so many previews to be told, one that was told before, and one to hibernate."""
    told = make_subject("dev-told", 20 * DAY)
    subjects = [make_subject(f"dev-{each}", 20 * DAY) for each in range(number)]
    standing = {told.deployment.id: tell(told, HOUR)}
    return judge([*subjects, told, make_subject("dev-z", 3 * DAY)], standing, LIMITS, run_id="run", now=NOW)


def test_within_the_brake_nobody_is_asked() -> None:
    expiry = judge_many(2)
    assert apply_brake(expiry, [make_work("dev-gone", Verb.DELETE)], 3) == (expiry, Question())


def test_past_the_brake_this_runs_deletes_are_asked_about_and_nothing_else_is_held_up() -> None:
    work = make_work("dev-gone", Verb.DELETE)
    expiry, question = apply_brake(judge_many(2), [work], 2)
    standings = {verdict.branch: verdict.standing.value for verdict in expiry.verdicts.values()}
    assert standings == {"dev-0": "asked", "dev-1": "asked", "dev-told": "due", "dev-z": "due"}
    assert [verdict.branch for verdict in question.verdicts] == ["dev-0", "dev-1"]
    assert (question.works, question.is_asked) == ((work,), True)


def test_what_nobody_used_since_the_memory_began_is_asked_about_however_few_they_are() -> None:
    old, used = make_subject("dev-old", 20 * DAY), make_subject("dev-used", 14 * DAY)
    expiry = judge([old, used], {}, LIMITS, run_id="run", now=NOW)
    since = NOW - 15 * DAY
    held, question = apply_brake(expiry, [make_work("dev-gone", Verb.DELETE)], 5, since)
    standings = {verdict.branch: verdict.standing.value for verdict in held.verdicts.values()}
    assert standings == {"dev-old": "asked", "dev-used": "due"}
    ((asked,), works) = (question.verdicts, question.works)
    assert works == ()  # the brake holds none
    assert asked.reason.endswith("2026-11-05 05:00 UTC: who kept it before may be forgotten")
    again, _ = apply_brake(judge([old], {old.deployment.id: asked}, LIMITS, run_id="next", now=NOW), [], 5, since)
    assert [verdict.reason for verdict in again.verdicts.values()] == [asked.reason]  # said once
    released = release(again.verdicts, Question(tuple(again.verdicts.values())), "mira", NOW)
    assert drop_doubted(released, since) == released  # a yes since then counts


def test_what_was_decided_before_the_memory_began_is_acted_on_no_more_but_a_no_stands() -> None:
    verdicts = {
        name: replace(tell(make_subject(name, 20 * DAY), told), standing=standing)
        for name, told, standing in (
            ("due", DAY, Standing.DUE),
            ("released", DAY, Standing.RELEASED),
            ("refused", DAY, Standing.REFUSED),
            ("later", HOUR, Standing.DUE),
        )
    }
    assert drop_doubted(verdicts, NOW - DAY).keys() == {"refused", "later"}


def test_a_delete_that_is_decided_anew_while_the_brake_holds_it_counts_once() -> None:
    work = replace(make_work("dev-0", Verb.DELETE), deployment_id="id-dev-0")
    expiry = judge_many(2)
    assert apply_brake(expiry, [work], 2) == (expiry, Question())


def test_a_yes_releases_exactly_what_was_asked_and_still_stands() -> None:
    expiry, question = apply_brake(judge_many(3), [], 2)
    now = dict(expiry.verdicts)
    del now["id-dev-0"]  # it moved meanwhile
    now["id-dev-1"] = replace(now["id-dev-1"], decided_at=NOW + HOUR)  # another run decided it anew
    answered = release(now, question, "mira", NOW + 3 * DAY)
    assert {key for key, each in answered.items() if each.standing is Standing.RELEASED} == {"id-dev-2"}
    assert (answered["id-dev-2"].person, answered["id-dev-2"].due_at) == ("mira", NOW + 3 * DAY)
    assert answered["id-dev-told"] == now["id-dev-told"]
    refused = refuse(now, question, "mira")
    assert refused["id-dev-2"].standing is Standing.REFUSED
    assert {key for key, each in refused.items() if each != now[key]} == {"id-dev-2"}


# The next step


def test_the_next_step_is_foretold() -> None:
    awake, asleep = make_subject(), make_subject(status=DeploymentStatus.HIBERNATING)
    steps = [foresee(each, None, LIMITS, CRON, NOW) for each in (awake, asleep)]
    assert [(step.what, step.at) for step in steps if step] == [
        ("hibernate", NOW + 2 * DAY + HOUR),
        ("delete", NOW + 14 * DAY + HOUR),  # told by cleanup's run of the day before
    ]
    verdict = tell(make_subject(idle=20 * DAY))
    step = foresee(make_subject(idle=20 * DAY), verdict, LIMITS, CRON, NOW)
    assert step is not None
    assert (step.what, step.at, step.reason) == ("delete", NOW + DAY, verdict.reason)


@pytest.mark.parametrize("changes", [{"kept": "by mira"}, {"labels": ("keep-preview",)}, {"committed_at": None}])
def test_no_step_is_foretold_of_what_stays_or_is_unclear(changes: dict[str, Any]) -> None:
    assert foresee(make_subject(**changes), None, LIMITS, CRON, NOW) is None


def test_a_next_step_does_not_move_while_time_passes_between_two_runs_of_cleanup() -> None:
    for idle in (0 * DAY, 20 * DAY):
        subject = make_subject(idle=idle)
        first = foresee(subject, None, LIMITS, CRON, NOW)
        assert first is not None
        assert foresee(subject, None, LIMITS, CRON, NOW + timedelta(minutes=50)) == first


def test_a_delete_that_waits_for_a_person_says_so() -> None:
    subject = make_subject(idle=20 * DAY)
    step = foresee(subject, tell(subject, standing=Standing.ASKED), LIMITS, CRON, NOW)
    assert step is not None
    assert step.reason.endswith("it waits for approval in cleanup run earlier")


def test_no_step_is_foretold_of_what_somebody_refused_to_delete() -> None:
    subject = make_subject(idle=20 * DAY)
    assert foresee(subject, tell(subject, standing=Standing.REFUSED), LIMITS, CRON, NOW) is None


def test_the_policy_gives_the_limits() -> None:
    previews = make_project().previews
    assert previews is not None
    assert read_limits(previews) == replace(LIMITS, hibernate_after=None)


# What is reported


def test_what_is_odd_is_reported() -> None:
    stuck = make_deployment("dev-a", status=DeploymentStatus.CREATING, created_at=NOW - 3 * HOUR)
    young = make_deployment("dev-b", status=DeploymentStatus.CREATING, created_at=NOW - HOUR)
    twins = [make_deployment("dev-c", id=name) for name in ("one", "two")]
    lost = {"id-dev-b": DeployHistory(unfinished=(("d7", NOW - HOUR), ("d8", NOW - HOUR / 2)))}
    previews = {
        branch: [(each, make_mark(branch)) for each in own]
        for branch, own in {"dev-c": twins, "dev-b": [young], "dev-a": [stuck]}.items()
    }
    works = [replace(make_work("dev-a", Verb.DELETE), deployment_id="id-dev-a")]
    found = report_oddities(previews, lost, works, NOW, {"dev-a": "ada"})
    assert {each.verdict for each in found} == {"report"}
    assert [(each.deployment_id, each.reason) for each in found] == [
        ("id-dev-a", "it is CREATING for 3 hours; look at it in Astro"),
        ("id-dev-a", "the brake holds its delete (because)"),
        ("id-dev-b", "deploy d7 of 2026-11-20 04:00 UTC never finished"),
        ("one", "it carries the same mark as two; delete the one that is not wanted, in Astro"),
        ("two", "it carries the same mark as one; delete the one that is not wanted, in Astro"),
    ]
    assert (found[0].author, found[0].age) == ("ada", 3 * HOUR)


@pytest.mark.parametrize("standing", [Standing.REFUSED, Standing.DUE, None])
def test_what_cannot_be_read_stays_and_what_was_decided_of_it_waits(standing: Standing | None) -> None:
    subject = make_subject(idle=30 * DAY, problem="createdAt: Field required", history=DeployHistory())
    known = {} if standing is None else {"id-dev-a": tell(make_subject(idle=30 * DAY), standing=standing)}
    found = judge([subject], known, LIMITS, run_id="run", now=NOW)
    (finding,) = found.findings
    assert (finding.verdict, finding.reason) == ("keep", subject.deployment.doubt)
    assert found.verdicts == known
    assert foresee(subject, None, LIMITS, CRON, NOW) is None
