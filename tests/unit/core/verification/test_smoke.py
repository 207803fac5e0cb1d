"""Smoke runs as decisions: what is started, what never, and what the runs say of the deploy."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from include.deploy_ops.core.verification.facts import AirflowDag
from include.deploy_ops.core.verification.judging import tell_errors
from include.deploy_ops.core.verification.smoke import (
    CANDIDATES_MAX,
    HAS_SCHEDULE,
    IS_FULL,
    IS_GONE,
    IS_PAUSED,
    LINE_LENGTH_MAX,
    LINES_MAX,
    NO_MANUAL,
    RUNS_BYTES_MAX,
    SAID_LENGTH_MAX,
    SMOKE_MAX,
    Candidate,
    RunFacts,
    Start,
    StartFacts,
    conclude_run,
    count_attempt,
    find_candidates,
    is_askable,
    mask_run,
    name_run,
    plan_runs,
    refuse_start,
    settle_runs,
    take_lines,
    tell_run,
)
from include.deploy_ops.core.verification.standing import advise
from include.deploy_ops.core.verification.verdict import Proof, SmokeOutcome, SmokeRun, Verification

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
VERIFIED = Verification("d1", "c" * 40, Proof.VERIFIED, NOW, "verified", 12.0)
START = Start("smoke_a", "r1", {}, may_unpause=True)
RULES: tuple[tuple[str, dict[str, Any]], ...] = (("smoke_a", {"n": 1}), ("smoke_*", {}))

names = st.text(max_size=40)
candidates = st.builds(Candidate, names, st.booleans(), st.booleans())
runs = st.builds(
    SmokeRun,
    st.text(max_size=250),
    st.sampled_from(SmokeOutcome),
    st.text(max_size=200),
    st.floats(0, 1e5),
    st.text(max_size=250),
    st.lists(st.text(max_size=LINE_LENGTH_MAX), max_size=LINES_MAX).map(tuple),
)


def plan(*found: Candidate, may_unpause: bool = True) -> tuple[tuple[Start, ...], tuple[SmokeRun, ...]]:
    return plan_runs(RULES, found, "r1", may_unpause=may_unpause)


def test_the_first_rule_that_matches_gives_the_conf() -> None:
    starts, skipped = plan(Candidate("smoke_a", True, False), Candidate("smoke_b", False, True))
    assert starts == (Start("smoke_a", "r1", {"n": 1}, may_unpause=True), Start("smoke_b", "r1", {}))
    assert skipped == ()


def test_a_paused_dag_with_a_schedule_is_told_and_not_started() -> None:
    starts, (skipped, _) = plan(Candidate("smoke_b", True, True))
    assert (starts, skipped.how) == ((), HAS_SCHEDULE)
    assert settle_runs(VERIFIED, [skipped], 0).said.startswith("verified, smoke_b not run: it has a schedule")


def test_on_a_target_nothing_is_unpaused() -> None:
    starts, skipped = plan(Candidate("smoke_a", True, False), may_unpause=False)
    assert (starts, [each.how for each in skipped]) == ((), [IS_PAUSED])


def test_a_rule_that_matches_nothing_is_named() -> None:
    assert [each.dag_id for each in plan(Candidate("smoke_b", False, False))[1]] == ["smoke_a"]


@given(st.lists(candidates, max_size=40), st.booleans())
def test_whatever_there_is_few_are_started_and_none_with_a_schedule_is_unpaused(
    found: list[Candidate], may_unpause: bool
) -> None:
    starts, skipped = plan_runs([("*", {})], found, "r1", may_unpause=may_unpause)
    assert len(starts) <= SMOKE_MAX
    by_id = {each.dag_id: each for each in found}
    if len(by_id) == len(found):
        for start in starts:
            dag = by_id[start.dag_id]
            assert start.may_unpause == (dag.is_paused and may_unpause)
            assert not (dag.is_paused and dag.is_scheduled)
        assert {each.dag_id for each in starts} | {each.dag_id for each in skipped} >= set(by_id)
    assert all(is_askable(each.dag_id) for each in starts)


@given(st.booleans(), st.booleans(), st.none() | st.integers(0, 3), st.integers(0, 3), st.booleans(), st.booleans())
def test_right_before_nothing_is_started_that_would_start_a_schedule(
    is_paused: bool, is_scheduled: bool, most: int | None, busy: int, is_manual: bool, may_unpause: bool
) -> None:
    facts = StartFacts(is_paused, is_scheduled, most, busy, is_manual)
    refused = refuse_start(replace(START, may_unpause=may_unpause), facts)
    expected = (
        (not is_manual and NO_MANUAL)
        or (is_paused and is_scheduled and HAS_SCHEDULE)
        or (is_paused and not may_unpause and IS_PAUSED)
        or (most is not None and busy >= most and IS_FULL)
        or ""
    )
    assert refused == expected
    assert refuse_start(START, None) == IS_GONE


def test_candidates_are_living_dags_that_match_and_not_too_many() -> None:
    dags = [AirflowDag(f"smoke_{number:02}", "a.py", schedule="@daily", is_paused=True) for number in range(30)]
    dags += [AirflowDag("smoke_x", "a.py", schedule="None"), AirflowDag("smoke_y", "a.py", is_stale=True)]
    found = find_candidates(["smoke_*"], [*dags, AirflowDag("orders", "b.py")])
    assert found[0] == Candidate("smoke_x", False, False)
    assert len(found) == CANDIDATES_MAX
    assert all(each.is_scheduled for each in found[1:])
    assert find_candidates([], dags) == ()


def test_of_a_pattern_behind_very_many_dags_it_is_not_said_that_there_is_none() -> None:
    dags = [AirflowDag(f"smoke_{number:02}", "a.py") for number in range(30)] + [AirflowDag("zeta", "b.py")]
    rules: list[tuple[str, dict[str, str]]] = [("smoke_*", {}), ("zeta", {}), ("nothing_*", {})]
    found = find_candidates([pattern for pattern, _ in rules], dags)
    _, skipped = plan_runs(rules, found, "r1", may_unpause=True)
    told = {each.dag_id: each.how for each in skipped}
    assert told["zeta"] == "no more than 10 are started"
    assert told["nothing_*"] == "no DAG of this deploy has such an id"


@pytest.mark.parametrize("name", ["", ".", "..", "~", "a/b", "a?b", "a b", "a\n", "%2e", "x" * 251])
def test_an_id_that_leads_elsewhere_is_not_asked_about(name: str) -> None:
    assert not is_askable(name)
    assert plan_runs([("*", {})], [Candidate(name, False, False)], "r1", may_unpause=True)[0] == ()


@given(st.text(max_size=300), st.integers(1, 99))
def test_a_run_id_is_one_that_airflow_takes(deploy_id: str, attempt: int) -> None:
    assert is_askable(name_run(deploy_id, attempt))
    assert name_run(deploy_id, attempt) != name_run(deploy_id, attempt + 1)


def test_who_was_cut_off_goes_on_and_who_asks_anew_makes_another_attempt() -> None:
    assert count_attempt(None, "d1") == count_attempt(replace(VERIFIED, deploy_id="d0", attempt=7), "d1") == 1
    assert count_attempt(replace(VERIFIED, proof=Proof.PENDING, attempt=2), "d1") == 2
    for proof in (Proof.VERIFIED, Proof.FAILED, Proof.UNKNOWN):
        assert count_attempt(replace(VERIFIED, proof=proof, attempt=2), "d1") == 3


@pytest.mark.parametrize(
    ("run", "late_s", "outcome"),
    [
        (RunFacts("success", 4.0), None, SmokeOutcome.SUCCESS),
        (RunFacts("failed", 4.0), 60.0, SmokeOutcome.FAILED),
        (RunFacts("running"), None, None),
        (RunFacts("queued"), None, None),
        (RunFacts("running"), 60.0, SmokeOutcome.FAILED),
        (RunFacts("queued"), 60.0, SmokeOutcome.UNKNOWN),
        (None, None, SmokeOutcome.UNKNOWN),
    ],
)
def test_what_a_run_came_to(run: RunFacts | None, late_s: float | None, outcome: SmokeOutcome | None) -> None:
    ended = conclude_run(START, run, late_s=late_s)
    assert (ended and ended.outcome) == outcome


def test_a_failed_run_is_told_with_dag_seconds_task_and_last_lines() -> None:
    failed = SmokeRun("smoke_orders", SmokeOutcome.FAILED, "", 40.2, "load", ("boom",))
    verdict = settle_runs(VERIFIED, [SmokeRun("smoke_b", SmokeOutcome.SUCCESS), failed], 50)
    assert (verdict.proof, verdict.said, verdict.seconds) == (Proof.FAILED, "smoke_orders failed after 40 s", 62.0)
    assert tell_errors(verdict) == ("smoke_orders failed after 40 s, task load\n  boom")
    assert "run it again by the form's action 'verify'" in advise(verdict)
    assert tell_run(SmokeRun("smoke_b", SmokeOutcome.SUCCESS, "", 3.0)) == "smoke_b succeeded after 3 s"


def test_a_pattern_without_a_dag_is_no_part_of_the_verdicts_line() -> None:
    starts, skipped = plan_runs([("smoke_*", {})], (), "run", may_unpause=True)
    assert not starts
    verdict = settle_runs(VERIFIED, skipped, 0)
    assert (verdict.said, verdict.runs) == (VERIFIED.said, skipped)
    assert tell_run(skipped[0]) == "smoke_* not run: no DAG of this deploy has such an id"


def test_runs_that_succeeded_leave_it_verified() -> None:
    verdict = settle_runs(VERIFIED, [SmokeRun("smoke_b", SmokeOutcome.SUCCESS, "", 3.0)], 5)
    assert (verdict.proof, verdict.said) == (Proof.VERIFIED, "verified")


@given(st.lists(runs, max_size=30))
def test_the_verdict_follows_from_the_runs_and_is_bounded(found: list[SmokeRun]) -> None:
    verdict = settle_runs(VERIFIED, found, 1)
    outcomes = {run.outcome for run in found}
    if SmokeOutcome.FAILED in outcomes:
        assert verdict.proof is Proof.FAILED
    elif SmokeOutcome.UNKNOWN in outcomes:
        assert verdict.proof is Proof.UNKNOWN
        assert verdict.said.startswith("not verified: ")
    else:
        assert verdict.proof is Proof.VERIFIED
    assert len(verdict.said) <= SAID_LENGTH_MAX
    stored = TypeAdapter(Verification).dump_python(verdict, mode="json")
    assert len(json.dumps(stored["runs"])) <= 2 * RUNS_BYTES_MAX
    assert TypeAdapter(Verification).validate_python(json.loads(json.dumps(stored))) == verdict


@given(st.text(max_size=3000))
def test_of_a_log_few_short_lines_are_kept_in_which_nothing_is_hidden(log: str) -> None:
    lines = take_lines(log)
    assert len(lines) <= LINES_MAX
    assert all(line and "\n" not in line and "\x1b" not in line for line in lines)


def test_secrets_are_masked_wherever_a_run_has_text() -> None:
    run = SmokeRun("a-s3", SmokeOutcome.FAILED, "b-s3", 1.0, "c-s3", ("d-s3",))
    assert "s3" not in repr(mask_run(run, lambda text: text.replace("s3", "***")))
    assert "\u202e" not in repr(mask_run(replace(run, task="x\u202ey"), str))
