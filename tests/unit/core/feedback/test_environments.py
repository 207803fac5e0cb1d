"""Which commits have a GitHub Deployment, with which status."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest

from include.deploy_ops.core.feedback.environments import list_deployment_writes, name_github_environment
from include.deploy_ops.core.feedback.values import (
    REFUSED,
    AddGithubDeploymentStatus,
    CreateGithubDeployment,
    Facts,
    FeedbackRecord,
    Write,
    key_deployment,
)
from include.deploy_ops.core.verification.verdict import Proof
from include.deploy_ops.core.view.row import Row, State
from tests.worlds.values.feedback_examples import (
    AIRFLOW,
    DAG,
    A,
    B,
    C,
    make_facts,
    make_failed,
    make_flight,
    make_live,
    make_outcome,
    make_row,
    make_target,
    name_run,
    prove,
)

FACTS = make_facts(releases=frozenset({"production"}), gated=frozenset({"gated"}))


def compare(told: Mapping[str, FeedbackRecord], *rows: Row, facts: Facts = FACTS) -> tuple[list[Write], list[str]]:
    writes, forgotten = list_deployment_writes({row.slug: row for row in rows}, told, facts)
    return [write for _, write in writes], forgotten


def do(told: Mapping[str, FeedbackRecord], writes: Iterable[Write]) -> dict[str, FeedbackRecord]:
    return {**told, **{write.key: replace(write.record, id=write.record.id or len(told) + 1) for write in writes}}


def say(writes: Iterable[Write]) -> list[tuple[str, str]]:
    """Return commit and state of each write."""
    return [
        (write.key.rpartition("/")[2], write.status.state)
        for write in writes
        if isinstance(write, AddGithubDeploymentStatus | CreateGithubDeployment)
    ]


def test_a_deploy_goes_from_in_progress_to_success_and_retires_the_one_before() -> None:
    told: dict[str, FeedbackRecord] = {}
    history = [
        (make_row(), []),
        (make_flight(A), [(A, "in_progress")]),
        (make_live(A), [(A, "success")]),
        (make_flight(B, deployed=A), [(B, "in_progress")]),
        (make_live(B), [(B, "success"), (A, "inactive")]),
        (make_live(B, state=State.REMOVED), [(B, "inactive")]),
    ]
    for shown, expected in history:
        row = replace(shown, airflow_url="https://dev-x.example")
        writes, _ = compare(told, row)
        assert say(writes) == expected
        told = do(told, writes)
        writes, forgotten = compare(told, row)
        assert writes == []
        told = {key: each for key, each in told.items() if key not in forgotten}
    assert told == {}


def test_a_success_leads_to_the_deployments_airflow_and_a_failure_to_the_runs_log() -> None:
    ((write,), _) = compare({}, make_live())
    assert isinstance(write, CreateGithubDeployment)
    assert (write.environment, write.is_transient, write.is_production) == ("preview/dev-x", True, False)
    assert write.status.environment_url == "https://dev-x.example"
    assert write.status.log_url == f"{AIRFLOW}/dags/{DAG}/runs/{name_run(A)}"
    ((failed,), _) = compare({}, make_failed(cause="x" * 500))
    assert isinstance(failed, CreateGithubDeployment)
    assert failed.status.state == "failure"
    assert failed.status.log_url.endswith(name_run(A))
    assert len(failed.status.description) <= 140


def test_a_failure_stands_beside_what_still_runs() -> None:
    told = do({}, compare({}, make_live(A))[0])
    row = make_failed(B, deployed=A, airflow_url="https://dev-x.example")
    writes, _ = compare(told, row)
    assert say(writes) == [(B, "failure")]
    told = do(told, writes)
    writes, forgotten = compare(told, make_live(C, airflow_url="https://dev-x.example"))
    assert say(writes) == [(C, "success"), (A, "inactive")]
    assert forgotten == [key_deployment("dev-x", B)]  # it failed, and remains so


def test_what_runs_is_a_success_only_as_far_as_it_is_verified() -> None:
    told: dict[str, FeedbackRecord] = {}
    history = [
        (prove(make_flight(A, deployed=A), Proof.PENDING), [(A, "in_progress")]),
        (prove(make_live(A), Proof.UNKNOWN), [(A, "pending")]),
        (prove(make_live(A), Proof.FAILED), [(A, "failure")]),
        (prove(make_live(A), Proof.VERIFIED), [(A, "success")]),
        (prove(make_live(A), Proof.UNKNOWN), []),
        (prove(make_live(A), Proof.FAILED), [(A, "failure")]),
        (prove(make_flight(B, deployed=A), Proof.FAILED), [(B, "in_progress")]),
        (prove(make_live(B), Proof.UNKNOWN, unknown="success"), [(B, "success")]),
    ]
    for shown, expected in history:
        row = replace(shown, airflow_url="https://dev-x.example")
        writes, forgotten = compare(told, row)
        assert say(writes) == expected, row
        told = do({key: each for key, each in told.items() if key not in forgotten}, writes)
        assert compare(told, row)[0] == []


def test_why_what_runs_does_not_work_is_told_anew_where_that_changes() -> None:
    row = replace(prove(make_live(A), Proof.FAILED), airflow_url="https://dev-x.example")
    told = do({}, compare({}, row)[0])
    assert row.verification is not None
    (write,) = compare(told, replace(row, verification=replace(row.verification, said="2 import errors")))[0]
    assert isinstance(write, AddGithubDeploymentStatus)
    assert (write.status.state, write.status.description) == ("failure", "2 import errors")


def test_a_deploy_that_never_came_to_its_end_is_retired() -> None:
    told = do({}, compare({}, make_flight(A))[0])
    assert say(compare(told, make_row(head=B))[0]) == [(A, "inactive")]


def test_a_branch_that_moves_meanwhile_changes_nothing_about_the_deploy_at_work() -> None:
    told = do({}, compare({}, make_flight(A))[0])
    moved = make_flight(A, head=B)
    assert compare(told, moved) == ([], [])
    assert compare({}, moved) == ([], [])  # a run names 12 digits of its commit, and nobody else knows it


def test_what_runs_and_is_deployed_anew_is_told_once_also_where_nothing_is_remembered() -> None:
    row = replace(make_flight(A), head=B, deployed=A)
    writes, _ = compare({}, row)
    assert say(writes) == [(A, "in_progress")]
    assert compare(do({}, writes), row) == ([], [])


def test_a_persons_run_is_told_when_it_has_ended() -> None:
    assert compare({}, make_flight(A, run_id="manual__1")) == ([], [])


def test_a_row_that_vanished_is_retired_and_forgotten() -> None:
    told = do({}, compare({}, make_failed(A))[0])
    writes, _ = compare(told)
    assert say(writes) == [(A, "inactive")]
    assert compare(do(told, writes)) == ([], [key_deployment("dev-x", A)])


def test_what_github_does_not_take_is_left_alone() -> None:
    key = key_deployment("dev-x", A)
    assert compare({key: FeedbackRecord(state=REFUSED)}, make_live(A)) == ([], [])
    assert compare({key: FeedbackRecord(state=REFUSED)}, make_live(B))[1] == [key]


def test_a_release_is_shown_on_its_pull_request() -> None:
    run = name_run(B, slug="target.production")
    failed = make_outcome(C, "failed", run_id=run)  # the test merge was deployed, for the head B
    row = make_target(head=B, deployed=A, state=State.FAILED, outcomes=(failed,))
    assert say(compare({}, row)[0]) == [(A, "success"), (B, "failure")]


@pytest.mark.parametrize(("name", "is_production"), [("production", True), ("gated", True), ("staging", False)])
def test_only_gated_and_release_targets_are_production(name: str, is_production: bool) -> None:
    ((write,), _) = compare({}, make_target(name, deployed=A))
    assert isinstance(write, CreateGithubDeployment)
    assert (write.environment, write.is_transient, write.is_production) == (name, False, is_production)


def test_environments_have_names_that_github_takes() -> None:
    shared = make_facts(is_alone=False)
    assert name_github_environment(make_row(), shared) == "shop/preview/dev-x"
    names = {name_github_environment(make_row("d" * 260 + end), FACTS) for end in ("a", "b", "😀")}
    assert len(names) == 3
    assert all(len(name) <= 255 and max(map(ord, name)) <= 0xFFFF for name in names)
