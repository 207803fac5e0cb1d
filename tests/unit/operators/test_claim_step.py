"""The claim step: who may work on the environment, and what a person's form asks for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.deploy_ops.core.naming import name_deployment
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.run.claims import MANUAL, PLANNED
from include.deploy_ops.run.job import PLANNED_RUN_TYPE
from include.deploy_ops.run.memory import Claim
from tests.worlds.stages.stage import read_refusal

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Stage

BRANCH = "dev-x"


def hold(stage: Stage, register: str, run_id: str) -> None:
    """Let a living run hold the branch's environment."""
    stage.airflow.states[run_id] = "running"
    stage.memory.claim(BRANCH, register).write(Claim(run_id, datetime.now(UTC)))


def test_a_run_of_control_takes_the_job_from_its_conf(stage: Stage) -> None:
    head = stage.push(BRANCH)
    (run,) = stage.plan()
    job = run.step("claim")
    assert (job["verb"], job["branch"], job["head"]) == ("create", BRANCH, head)
    assert run.run_id.startswith(job["work"])


def test_a_planned_run_steps_back_for_a_persons(stage: Stage) -> None:
    stage.push(BRANCH)
    (run,) = stage.plan()
    hold(stage, MANUAL, "manual__x")
    with pytest.raises(AirflowSkipException, match="dev-x is held by manual__x"):
        run.step("claim")
    stage.forget_requests()
    assert set(run.play().values()) == {"skipped"}
    assert stage.memory.claim(BRANCH, PLANNED).read() is None
    assert stage.list_requests("astro") == []
    assert stage.memory.claim(BRANCH, MANUAL).read() is not None


def test_a_run_that_another_dag_triggers_without_a_job_fails(stage: Stage) -> None:
    run = stage.start({"branch": BRANCH}, "alien", PLANNED_RUN_TYPE)
    with pytest.raises(AirflowFailException, match="without a job in its conf"):
        run.step("claim")
    assert run.read_failure("claim")["is_permanent"]


def test_a_persons_conf_is_no_job(stage: Stage) -> None:
    head = stage.push(BRANCH)
    (planned,) = stage.plan()
    stage.airflow.states[planned.run_id] = "success"
    run = stage.start_form(branch=BRANCH)
    run.conf = {"job": {**planned.conf["job"], "verb": "delete"}}
    job = run.step("claim")
    assert (job["verb"], job["head"], job["work"]) == ("create", head, "")


def test_the_form_creates_where_there_is_no_deployment(stage: Stage) -> None:
    head = stage.push(BRANCH)
    run = stage.start_form(branch=f" {BRANCH} ", reason="demo today", deploy_type="image-and-dags")
    assert run.step("claim") == {
        "verb": "create",
        "branch": BRANCH,
        "head": head,
        "deployment_name": name_deployment("shop", BRANCH),
        "deployment_id": "",
        "reason": "demo today",
        "work": "",
        "deploy_type": "image-and-dags",
        "person": "mira",
        "target": "",
        "commit": "",
        "ref": "",
        "pull": 0,
        "base": "",
        "observed": None,
        "is_override": False,
        "wake": False,
        "ends_keep": False,
        "is_dry": False,
        "is_expiry": False,
        "file": "",
        "problem": "",
        "undoes": "",
        "approval": None,
        "skips": [],
        "answers": [],
    }
    claim = stage.memory.claim(BRANCH, MANUAL).read()
    assert claim is not None
    assert claim.run_id == run.run_id


@pytest.mark.parametrize("action", ["deploy", "delete"])
def test_the_form_finds_the_deployment_by_its_mark(stage: Stage, action: str) -> None:
    stage.push(BRANCH)
    deployment_id = stage.make_deployment(BRANCH, name="renamed by hand")
    job = stage.start_form(branch=BRANCH, action=action).step("claim")
    assert (job["verb"], job["deployment_id"], job["deployment_name"]) == (action, deployment_id, "renamed by hand")


def test_the_form_deletes_what_a_gone_branch_left(stage: Stage) -> None:
    deployment_id = stage.make_deployment("dev-gone")
    job = stage.start_form(branch="dev-gone", action="delete").step("claim")
    assert (job["verb"], job["deployment_id"], job["head"]) == ("delete", deployment_id, "0" * 40)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"branch": ""}, "branch: found '', expected the name of the branch whose preview is meant"),
        ({"branch": "main"}, "branch: 'main' matches no pattern of previews.branches (dev*)"),
        ({"branch": "develop"}, "branch: 'develop' matches no pattern"),
        ({"branch": "dev-none"}, "branch: there is no branch 'dev-none' in acme/data-platform"),
        ({"branch": "--dev; rm -rf"}, "branch: found '--dev; rm -rf', expected the name of the branch"),
        (
            {"action": "destroy"},
            "action: found 'destroy', expected one of 'deploy', 'refresh', 'delete'",
        ),
        ({"action": "delete"}, "'dev-x' has no Deployment; there is nothing to delete"),
        ({"deploy_type": "none"}, "deploy_type: found 'none', expected one of 'infer', 'dags' or 'image-and-dags'"),
        ({"reason": "  "}, "reason: found '  ', expected a text that is not empty"),
    ],
)
def test_a_wrong_form_value_is_named(stage: Stage, form: dict[str, str], said: str) -> None:
    stage.push(BRANCH)
    run = stage.start_form(**{"branch": BRANCH, **form})
    assert said in read_refusal(run)


def test_a_person_waits_for_the_planned_run(stage: Stage) -> None:
    stage.push(BRANCH)
    hold(stage, PLANNED, "dev-x~create~1")
    with pytest.raises(AirflowFailException, match="held by run dev-x~create~1; wait for its end, then clear this run"):
        stage.start_form(branch=BRANCH).step("claim")


def test_a_merged_branch_is_not_forced_back(stage: Stage) -> None:
    stage.push(BRANCH)
    number = stage.merge(BRANCH)
    said = read_refusal(stage.start_form(branch=BRANCH))
    assert f"branch: pull request #{number} was merged into staging at this" in said


def test_two_deployments_with_one_mark_are_left_to_a_person(stage: Stage) -> None:
    stage.push(BRANCH)
    stage.make_deployment(BRANCH)
    stage.make_deployment(BRANCH, name="twin")
    assert "two Deployments carry the mark of 'dev-x'" in read_refusal(stage.start_form(branch=BRANCH))


def test_anothers_mark_is_no_deployment_of_ours(stage: Stage) -> None:
    stage.push(BRANCH)
    stage.make_deployment(BRANCH, name="theirs", description=stage.write_mark(BRANCH, control_plane="other"))
    assert stage.start_form(branch=BRANCH).step("claim")["verb"] == Verb.CREATE.value
