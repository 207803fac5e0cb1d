"""Whoever has a part in a deploy and tries to approve it, or answers in another's place: nothing is deployed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.deploy_ops.core.errors import RetryableError
from include.deploy_ops.core.policy.keys import Approvers
from include.deploy_ops.hooks.github.pulls import GithubPullsHook
from tests.worlds.stages.request import Gate, RequestRun, open_gate
from tests.worlds.stages.stage import WRITES

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Stage

ANSWERS = "7"  # the id of who answers on the stage; "mira" fills in the form


@pytest.fixture
def gate(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Gate:
    return open_gate(stage, monkeypatch)


def change_approvers(gate: Gate, people: dict[str, str] | None = None, **approvers: Any) -> None:
    """Edit the policy."""
    project = gate.stage.scope.project
    wanted = Approvers.model_construct(**approvers)
    production = project.targets["production"].model_copy(update={"approvers": wanted})
    gate.stage.change_project(targets={**project.targets, "production": production}, people=people or {})


def map_author(gate: Gate, user: str) -> dict[str, str]:
    """Return the policy's `people` with the pull request's author as this user of Airflow, in another case."""
    hook = GithubPullsHook("github_default", gate.stage.scope.project.repository)
    try:
        return {hook.get_pull_request(gate.number).author.upper(): user}
    finally:
        hook.close()


def fail_to_approve(gate: Gate, run: RequestRun) -> str:
    """Approve, and return why nothing comes of it: not even a seal that somebody could carry elsewhere."""
    gate.stage.forget_requests()
    with pytest.raises(RetryableError):  # the next try asks again
        run.answer("Approve", "fine")
    end_failed(gate, run)
    assert "return_value" not in run.xcoms["approve"]
    assert gate.remembered.approval is None
    assert {each["trigger_dag_id"] for each in gate.plan()} <= {"shop.production.request"}  # others are asked
    assert gate.stage.list_requests("astro", WRITES) == []
    return str(run.read_failure("approve")["cause"])


def end_failed(gate: Gate, run: RequestRun) -> None:
    """Let the run end as after a failed question."""
    run.states |= {"recheck": "upstream_failed", "dispatch": "upstream_failed"}
    run.step("report")
    gate.stage.airflow.states[run.run_id] = "failed"


def fail_to_ask(gate: Gate, run: RequestRun) -> str:
    """Run up to the question, which nobody is asked, and return why."""
    with pytest.raises(AirflowFailException, match="nobody may approve"):
        run.ask()
    assert gate.asked == {}
    end_failed(gate, run)
    return str(run.read_failure("approve")["cause"])


def test_an_answer_of_nobody_in_the_list_releases_nothing(gate: Gate) -> None:
    change_approvers(gate, users=("bob",))
    run = gate.start_planned()
    assert run.ask()["assigned_users"] == [{"id": "bob", "name": "bob"}]
    assert "'ada' (id '7') is not among the target's approvers" in fail_to_approve(gate, run)


def test_an_approver_whom_the_policy_lost_meanwhile_releases_nothing(gate: Gate) -> None:
    change_approvers(gate, users=(ANSWERS,))
    run = gate.start_planned()
    run.ask()
    change_approvers(gate, users=("bob",))
    assert "is not among" in fail_to_approve(gate, run)


def test_the_author_of_what_comes_along_approves_nothing_where_everybody_may_answer(gate: Gate) -> None:
    change_approvers(gate, map_author(gate, ANSWERS), users=(), not_requester=True)
    run = gate.start_planned()
    shown = run.ask()
    assert not shown["assigned_users"]
    assert "| may not | `7`, who opened a pull request that comes along |" in shown["body"]
    assert "may not approve: opened a pull request" in fail_to_approve(gate, run)


def test_where_the_authors_are_all_that_may_nobody_is_asked_and_it_is_told_at_once(gate: Gate) -> None:
    """Airflow would take the empty list for everybody."""
    change_approvers(gate, map_author(gate, ANSWERS), users=(ANSWERS,), not_requester=True)
    said = fail_to_ask(gate, gate.start_planned())
    assert gate.remembered.endings["request"].cause == said
    assert gate.plan() == []
    row = gate.stage.memory.read_row("target.production")
    assert row is not None
    assert "nobody may approve a deploy to production" in row.why
    assert ANSWERS not in said


def test_who_asks_by_hand_is_not_asked(gate: Gate) -> None:
    change_approvers(gate, users=("mira",), not_requester=True)
    assert "each of its approvers asked for it" in fail_to_ask(gate, gate.start_form(reason="on fire"))
    change_approvers(gate, users=("mira", ANSWERS), not_requester=True)
    run = gate.start_form(reason="on fire", deploy_type="dags")
    assert run.ask()["assigned_users"] == [{"id": ANSWERS, "name": ANSWERS}]
    run.answer("Approve")
    (dispatched,) = run.finish()
    assert dispatched["conf"]["job"]["approval"]["user_id"] == ANSWERS


def test_an_approver_whom_the_policy_lost_after_the_answer_deploys_nothing(gate: Gate) -> None:
    change_approvers(gate, users=(ANSWERS,))
    asked = gate.start_form(deploy_type="dags")
    asked.ask()
    asked.answer("Approve")
    (dispatched,) = asked.finish()
    change_approvers(gate, users=("bob",))
    run = gate.stage.start_dispatched(dispatched)
    run.step("claim")
    run.step("change_type")
    gate.stage.forget_requests()
    with pytest.raises(AirflowSkipException, match="ada, who approved, is not among the approvers of production"):
        run.step("deploy")
    assert gate.stage.list_requests("astro", WRITES) == []
