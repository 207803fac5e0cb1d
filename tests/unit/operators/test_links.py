"""The buttons that lead out of Airflow from a task: each that it has gets an address where people look for it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.standard.operators import hitl
from airflow.sdk.exceptions import TaskAwaitingInput, TaskDeferred

from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.policy.keys import Verify
from tests.worlds.stages.request import answer_request

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Run, Stage

BRANCH = "dev-x"
PULL, COMMIT, ASTRO, AIRFLOW = "Pull request", "Commit", "Deployment in Astro", "Its Airflow UI"


def make_source(stage: Stage, branch: str = BRANCH) -> tuple[str, dict[str, str]]:
    """Push a branch with an open pull request; return its head, and the addresses of both."""
    head = stage.push(branch)
    number = stage.author.open_pull_request(branch, "staging", "Look")
    web = f"{stage.sandbox.url}/github/acme/data-platform"
    return head, {PULL: f"{web}/pull/{number}", COMMIT: f"{web}/commit/{head}"}


def assert_links(run: Run, task_id: str, expected: dict[str, str], deployment_id: str, *ours: str) -> None:
    """Fail unless the task leads there, and to these pages of the Deployment."""
    found = run.links[task_id]
    assert found.keys() == {*expected, *ours}
    assert {name: found[name] for name in expected} == expected
    assert all(found[name].startswith("http") for name in ours)
    assert ASTRO not in ours or deployment_id in found[ASTRO]


def test_a_first_deploy_links_to_all_that_it_is_about_and_no_step_before_it_to_anything(stage: Stage) -> None:
    head, source = make_source(stage)
    run = stage.start_planned(Verb.CREATE, BRANCH, head)
    run.play()
    assert_links(run, "deploy", source, run.xcoms["create"]["return_value"], ASTRO, AIRFLOW)
    assert {task for task, links in run.links.items() if links} == {"deploy"}
    assert {"claim", "render_template", "image", "create", "settle", "report"} <= run.links.keys()


def test_without_a_pull_request_there_is_no_address_to_write(stage: Stage) -> None:
    run = stage.start_planned(Verb.CREATE, BRANCH, stage.push(BRANCH))
    run.play()
    assert run.links["deploy"].keys() == {COMMIT, ASTRO, AIRFLOW}


def test_an_update_and_a_delete_link_to_the_deployment(stage: Stage) -> None:
    deployment_id = stage.make_deployment(BRANCH)
    update = stage.start_planned(Verb.UPDATE, BRANCH, stage.push(BRANCH), deployment_id)
    update.play()
    assert_links(update, "update", {}, deployment_id, ASTRO, AIRFLOW)
    stage.author.git("push", "--quiet", "origin", "--delete", BRANCH)
    delete = stage.start_planned(Verb.DELETE, BRANCH, "0" * 40, deployment_id)
    delete.step("delete")
    assert_links(delete, "delete", {}, deployment_id, ASTRO)


def test_what_the_first_part_of_a_task_found_stays_when_it_resumes(stage: Stage) -> None:
    head, source = make_source(stage)
    commit = {COMMIT: source[COMMIT]}
    deployment_id = stage.create_preview(BRANCH, head)
    stage.change_project(previews={"verify": Verify(airflow_conn_id="preview_airflow", timeout=timedelta(minutes=7))})
    run = stage.start_form(branch=BRANCH, action="verify")
    run.step("claim")
    with pytest.raises(TaskDeferred) as parked:
        run.execute("verify")
    assert_links(run, "verify", commit, deployment_id, ASTRO, AIRFLOW)
    findings = {"broken": [], "difference": {"changes": [], "behind": []}, "problem": ""}
    event = {"state": "seen", "detail": "", "findings": findings, "notes": [], "seconds": 1.0}
    run.resume("verify", parked.value.method_name, **(parked.value.kwargs or {}), event=event)
    assert_links(run, "verify", commit, deployment_id, ASTRO, AIRFLOW)


def test_a_question_links_to_the_commit_also_once_it_is_answered(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **_: None)
    _, source = make_source(stage)
    deployment_id = stage.make_deployment(BRANCH, description="made by hand")
    run: Any = stage.start_form(branch=BRANCH, action="adopt", reason="it was there first")
    run.step("claim")
    run.step("render_template")
    with pytest.raises(TaskAwaitingInput):
        run.step("approve_adoption")
    assert run.links["approve_adoption"] == {COMMIT: source[COMMIT]}
    answer_request(run, "Approve", task_id="approve_adoption")
    assert run.links["approve_adoption"] == {COMMIT: source[COMMIT]}
    run.step("adopt")
    assert_links(run, "adopt", {}, deployment_id, ASTRO, AIRFLOW)


def test_what_a_person_decided_links_to_the_commit(stage: Stage) -> None:
    head, source = make_source(stage)
    stage.create_preview(BRANCH, head)
    run = stage.start_form(branch=BRANCH, action="keep", reason="a demo")
    run.step("claim")
    run.step("decide")
    assert run.links["decide"] == {COMMIT: source[COMMIT]}
