"""The question of a release: asked of the right people, about what is so, and never again once it was answered."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from dags.request import make_request_dag
from include.deploy_ops.core.errors import RetryableError
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.policy.keys import Approvers
from include.deploy_ops.run.job import load_job
from tests.worlds.stages.request import Gate, RequestRun, open_gate

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.worlds.stages.stage import Stage

ANSWERS = "7"
"""The id of who answers on the stage."""


@pytest.fixture
def gate(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Give a gated production with an open pull request, which its author may not approve."""
    gate = open_gate(stage, monkeypatch)
    change_approvers(gate, users=(ANSWERS, "8"), not_requester=True)
    return gate


def change_approvers(gate: Gate, **approvers: Any) -> None:
    """Edit who may approve."""
    change_production(gate, approvers=Approvers(**approvers))


def change_production(gate: Gate, **changes: Any) -> None:
    """Edit the policy's production."""
    targets = gate.stage.scope.project.targets
    production = targets["production"].model_copy(update=changes)
    gate.stage.change_project(targets={**targets, "production": production})


def answer_in_an_outage(gate: Gate, run: RequestRun) -> None:
    """Approve while GitHub answers nothing; the try fails, to be tried again."""
    gate.stage.sandbox.plant(face="github", path="/commits", status=500, times=None)
    with pytest.raises(RetryableError, match="HTTP 500"):
        run.answer("Approve", "fine")
    gate.asked.clear()


def end_outage(gate: Gate) -> None:
    """Let GitHub answer again."""
    assert gate.stage.sandbox.client.delete("/sandbox/faults").is_success


def test_the_question_links_to_the_pull_request_and_the_commit_also_once_it_is_answered(gate: Gate) -> None:
    run, web = gate.start_planned(), f"{gate.stage.sandbox.url}/github/acme/data-platform"
    run.ask()
    asked = dict(run.links["approve"])
    assert asked.keys() == {"Pull request", "Commit"}
    assert asked["Pull request"] == f"{web}/pull/{gate.number}"
    assert asked["Commit"].startswith(f"{web}/commit/")
    run.answer("Approve", "fine")
    assert run.links["approve"] == asked


def test_a_yes_that_github_could_not_weigh_counts_when_it_answers_again(gate: Gate) -> None:
    run = gate.start_planned()
    run.ask()
    answer_in_an_outage(gate, run)
    with pytest.raises(RetryableError, match="HTTP 500"):
        run.execute("approve")  # the next try, and the outage goes on
    end_outage(gate)
    answered = run.execute("approve")
    assert gate.asked == {}, "asked twice"
    assert (answered["is_approved"], answered["person"], answered["comment"]) == (True, "ada", "fine")
    run.finish()
    assert gate.remembered.approval.person == "ada"
    (deploy,) = gate.plan()
    assert load_job(deploy["conf"]["job"]).verb is Verb.DEPLOY


def test_every_step_that_a_yes_passes_is_tried_for_hours(gate: Gate) -> None:
    dag = make_request_dag(gate.stage.scope, "production")
    for task_id in ("approve", "recheck"):
        task: Any = dag.task_dict[task_id]
        waits = [task.retry_delay * task.retry_exponential_backoff**number for number in range(task.retries)]
        assert sum((min(each, task.max_retry_delay) for each in waits), timedelta()) > timedelta(hours=2)
        assert waits[0] < timedelta(minutes=1)


@pytest.mark.parametrize("is_answered_in_an_outage", [True, False])
def test_a_cleared_run_asks_again_whatever_was_answered(gate: Gate, *, is_answered_in_an_outage: bool) -> None:
    run = gate.start_planned()
    run.ask()
    if is_answered_in_an_outage:
        answer_in_an_outage(gate, run)
        end_outage(gate)
    else:
        run.answer("Approve")
    gate.asked.clear()
    run.clear_number += 1
    assert run.park()["assigned_users"] == [{"id": ANSWERS, "name": ANSWERS}, {"id": "8", "name": "8"}]


def test_an_answer_that_does_not_count_is_asked_for_again(gate: Gate) -> None:
    run = gate.start_planned()
    run.ask()
    change_approvers(gate, users=("8", "9"), not_requester=True)
    with pytest.raises(RetryableError, match="is not among the target's approvers"):
        run.answer("Approve")
    change_approvers(gate, users=(ANSWERS, "8"), not_requester=True)
    gate.asked.clear()
    assert run.park()["subject"]


def move_head(gate: Gate) -> None:
    gate.stage.push_more("astro_deploy", {"dags/release.py": "# more\n"})


def move_deploy(gate: Gate) -> None:
    gate.record(gate.production)


@pytest.mark.parametrize("move", [move_head, move_deploy])
def test_what_moved_while_the_image_was_awaited_is_asked_of_nobody(gate: Gate, move: Callable[[Gate], None]) -> None:
    run = gate.start_planned()
    for task in ("prepare", "change_type", "image"):
        run.step(task)
    move(gate)
    with pytest.raises(AirflowSkipException, match=r"moved from|now the newest is"):
        run.park()
    assert gate.asked == {}
    end_void(gate, run)
    (again,) = gate.plan()
    assert again["trigger_dag_id"] == "shop.production.request"


def await_image(gate: Gate) -> RequestRun:
    """Return a planned run that is about to ask."""
    run = gate.start_planned()
    for task in ("prepare", "change_type", "image"):
        run.step(task)
    return run


def test_what_was_approved_meanwhile_is_asked_of_nobody(gate: Gate) -> None:
    run = await_image(gate)
    gate.approve(gate.read_merge(), user_id=ANSWERS)
    with pytest.raises(AirflowSkipException, match="is not due any more: deploy production"):
        run.park()
    assert gate.asked == {}
    run.clear_number += 1
    assert run.park()["subject"], "who clears it wants it asked again"


def test_what_was_rejected_meanwhile_is_asked_of_nobody(gate: Gate) -> None:
    run = await_image(gate)
    gate.stage.stores.clear()  # so that nobody knows of that run, which the edit names otherwise
    gate.stage.change_project(ignore=("docs/",))
    newer = gate.start_planned()
    newer.ask()
    newer.answer("Reject", "no")
    newer.finish()
    gate.asked.clear()
    with pytest.raises(AirflowSkipException, match="another run asked this already: rejected by ada, because no"):
        run.park()
    assert gate.asked == {}


def test_an_edit_of_the_policy_lets_the_newer_run_alone_ask(gate: Gate) -> None:
    run = await_image(gate)
    change_approvers(gate, users=(ANSWERS,))
    newer = await_image(gate)
    with pytest.raises(AirflowSkipException, match=f"run {newer.run_id} asks this"):
        run.park()
    assert gate.asked == {}
    assert newer.park()["assigned_users"] == [{"id": ANSWERS, "name": ANSWERS}]


def end_void(gate: Gate, run: RequestRun) -> None:
    """Let the run end; it is told as overtaken, and is no failure."""
    skipped = ("image", "approve", "recheck", "dispatch")
    run.states |= {task: "skipped" for task in skipped if run.states.get(task) != "success"}
    run.step("report")
    told = gate.stage.events.events[-1].extra["ended"]["outcome"]
    assert (told["state"], gate.remembered.endings["request"].is_failure) == ("superseded", False)
    assert "moved from" in told["why"] or "the newest is" in told["why"]
    gate.stage.airflow.states[run.run_id] = "success"


@pytest.mark.parametrize("step", ["change_type", "recheck"])
def test_whichever_step_finds_that_it_is_about_nothing_any_more_says_so(gate: Gate, step: str) -> None:
    run = gate.start_planned()
    run.step("prepare")
    if step == "recheck":
        run.ask()
        run.answer("Approve")
    move_head(gate)
    with pytest.raises(AirflowSkipException, match="moved from"):
        run.step(step)
    end_void(gate, run)


def test_a_person_is_told_that_what_they_ask_for_moved(gate: Gate) -> None:
    run = gate.start_form(deploy_type="dags")
    for task in ("prepare", "change_type"):
        run.step(task)
    move_deploy(gate)
    with pytest.raises(AirflowFailException, match="look at what is there now, and trigger a new request"):
        run.park()
    assert gate.asked == {}


PEOPLE = {"somebody": ANSWERS}


def test_an_open_question_is_asked_anew_of_others_and_its_no_stays(gate: Gate) -> None:
    run = gate.start_planned()
    run.ask()
    gate.stage.change_project(people={"stranger": "99"})  # nobody of the approvers
    assert gate.plan() == []
    gate.stage.change_project(people=PEOPLE)
    newer = gate.start_planned()
    assert newer.run_id != run.run_id
    newer.ask()
    newer.answer("Reject", "no")
    newer.finish()
    gate.stage.change_project(people={})
    assert gate.plan() == []
    change_approvers(gate, users=(ANSWERS,))
    assert gate.plan() == []


def test_an_edit_that_is_taken_back_asks_nobody_what_is_open(gate: Gate) -> None:
    first = await_image(gate)
    first.park()
    change_approvers(gate, users=("9",))
    second = await_image(gate)
    second.park()
    change_approvers(gate, users=(ANSWERS, "8"), not_requester=True)
    gate.stage.change_project(ignore=("docs/",))  # which names the work otherwise
    assert gate.plan() == []
    gate.stage.airflow.states[first.run_id] = "failed"
    assert gate.start_planned().run_id not in {first.run_id, second.run_id}


def test_that_nobody_may_approve_is_asked_anew_when_it_is_known_who_is_who(gate: Gate) -> None:
    author = load_author(gate)
    gate.stage.change_project(people={author: ANSWERS})
    change_approvers(gate, users=(ANSWERS,), not_requester=True)
    run = gate.start_planned()
    with pytest.raises(AirflowFailException, match="nobody may approve"):
        run.ask()
    run.states |= {"recheck": "upstream_failed", "dispatch": "upstream_failed"}
    run.step("report")
    gate.stage.airflow.states[run.run_id] = "failed"
    assert gate.plan() == []
    gate.stage.change_project(people={author: "99"})
    assert gate.start_planned().ask()["assigned_users"] == [{"id": ANSWERS, "name": ANSWERS}]


def load_author(gate: Gate) -> str:
    """Return the login of who opened the pull request."""
    hook = gate.stage.make_plan_task().github
    try:
        return str(hook.get_pull_request(gate.number).author)
    finally:
        hook.close()


def test_a_cleared_run_shows_nobody_the_page_of_other_people(gate: Gate) -> None:
    run = gate.start_planned()
    run.ask()
    change_approvers(gate, users=("8", "9"), not_requester=True)
    run.clear_number += 1
    with pytest.raises(AirflowFailException, match="has asked about something else before"):
        run.park()
    run.states |= {"recheck": "upstream_failed", "dispatch": "upstream_failed"}
    run.step("report")
    gate.stage.airflow.states[run.run_id] = "failed"
    assert not gate.remembered.endings["request"].is_permanent
    assert [user["id"] for user in gate.start_planned().ask()["assigned_users"]] == ["8", "9"]


@pytest.mark.parametrize("is_said", [True, False])
def test_it_is_merged_as_the_page_said_whatever_the_policy_says_later(gate: Gate, *, is_said: bool) -> None:
    change_production(gate, merge=is_said)
    run = gate.start_planned()
    assert ("and then merges exactly this head" in run.ask()["body"]) is is_said
    change_production(gate, merge=True)
    run.answer("Approve")
    run.finish()
    assert gate.remembered.approval.merges is is_said
    gate.record(gate.production, commit=gate.read_merge().commit)
    (due,) = gate.plan()
    assert load_job(due["conf"]["job"]).verb is (Verb.MERGE if is_said else Verb.REQUEST)
    change_production(gate, merge=False)
    assert gate.plan() == []
