"""The create step: makes the Deployment once, takes ours where it is there, and never touches another's."""

from __future__ import annotations

import errno
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowSkipException

from include.deploy_ops.core.errors import RetryableError
from include.deploy_ops.core.naming import name_deployment, parse_mark
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.observation.decisions import ChangeReader
from include.deploy_ops.operators.deploy.deployment import CreateDeploymentOperator
from include.deploy_ops.run.job import Job
from tests.worlds.stages.stage import WRITES
from tests.worlds.values.examples import PLANE, make_deployment, make_project

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Run, Stage

BRANCH = "dev-x"
VARIABLES_CALL = {"face": "astro", "method": "POST", "path": "/deployments/[^/]+$"}


def start(stage: Stage) -> Run:
    """Return a planned create, rendered."""
    run = stage.start_planned(Verb.CREATE, BRANCH, stage.push(BRANCH))
    run.step("render_template")
    return run


def test_a_fresh_deployment_has_name_mark_and_variables(stage: Stage) -> None:
    run = start(stage)
    deployment_id = run.step("create")
    found = stage.find_deployment(BRANCH)
    assert found["id"] == deployment_id
    mark = parse_mark(found["description"])
    assert mark is not None
    assert (mark.control_plane, mark.project, mark.branch) == ("acme-test", "shop", BRANCH)
    assert [(each["key"], each["value"]) for each in found["environmentVariables"]] == [("STAGE", "preview")]


def test_nothing_is_made_while_a_file_of_the_policy_cannot_be_read(stage: Stage) -> None:
    run = start(stage)
    stage.scope = replace(stage.scope, unread=("include/deploy_ops.d/ml.yaml",))
    with pytest.raises(RetryableError, match=r"no new name is taken while .*ml.yaml cannot be read"):
        run.step("create")
    assert stage.list_deployments() == []


def test_a_deployment_with_our_mark_is_taken_whatever_its_name(stage: Stage) -> None:
    run = start(stage)
    deployment_id = stage.make_deployment(BRANCH, name="renamed by hand")
    stage.forget_requests()
    assert run.step("create") == deployment_id
    assert stage.list_requests("astro", WRITES) == []


@pytest.mark.parametrize("description", ["a person's", "{}"])
def test_a_taken_name_is_refused_and_left_as_it_is(stage: Stage, description: str) -> None:
    run = start(stage)
    stage.make_deployment(BRANCH, description=description.format(stage.write_mark(BRANCH, control_plane="other")))
    before = stage.find_deployment(BRANCH)
    stage.forget_requests()
    with pytest.raises(RetryableError, match=rf"named 'shop-dev-x' \({before['id']}\) exists without our mark"):
        run.step("create")
    assert stage.list_requests("astro", WRITES) == []
    assert stage.find_deployment(BRANCH) == before


def test_a_half_created_deployment_is_repaired_by_the_next_passes(stage: Stage) -> None:
    head = stage.push(BRANCH)
    (create,) = stage.plan()
    stage.sandbox.plant(**VARIABLES_CALL, status=500, body={"message": "planted", "statusCode": 500})
    assert create.play()["create"] == "failed"
    assert create.states["report"] == "success"
    assert not create.read_failure("create")["is_permanent"]
    half = stage.find_deployment(BRANCH)
    assert half.get("environmentVariables", []) == []
    (deploy,) = stage.plan()
    assert "failed" not in deploy.play().values(), deploy.xcoms
    assert deploy.conf["job"]["verb"] == "deploy"
    assert stage.list_files(half["id"]) == stage.author.hash_files(head)
    (update,) = stage.plan()
    assert update.conf["job"]["verb"] == "update"
    assert update.conf["job"]["reason"].startswith("it lacks variable STAGE")
    assert "failed" not in update.play().values(), update.xcoms
    assert [each["key"] for each in stage.find_deployment(BRANCH)["environmentVariables"]] == ["STAGE"]
    assert stage.plan() == []
    assert len(stage.list_deployments()) == 1


def test_a_create_without_effect_is_no_success(stage: Stage) -> None:
    run = start(stage)
    stage.sandbox.plant(cli="create", exit_0_without_deploying=True)
    with pytest.raises(RetryableError, match=r"astro deployment create.* ended without saying that it succeeded"):
        run.step("create")
    assert run.step("create") == stage.find_deployment(BRANCH)["id"]


def test_a_branch_that_is_gone_gets_no_deployment(stage: Stage) -> None:
    run = start(stage)
    stage.author.delete(BRANCH)
    with pytest.raises(AirflowSkipException, match="superseded: branch dev-x is gone"):
        run.step("create")
    assert stage.list_deployments() == []


def test_a_branch_that_was_merged_meanwhile_gets_no_deployment(stage: Stage) -> None:
    run = start(stage)
    number = stage.merge(BRANCH)
    with pytest.raises(AirflowSkipException, match=f"superseded: pull request #{number} was merged into staging"):
        run.step("create")
    assert stage.list_deployments() == []


@pytest.mark.parametrize(
    "looks", [{}, {"description": ""}, {"name": "renamed by hand"}, {"name": "", "description": ""}]
)
def test_what_cannot_be_read_and_may_be_the_preview_is_not_made_again(looks: dict[str, Any]) -> None:
    scope: Any = SimpleNamespace(fleet=Asset("fleet"), project=make_project(), control_plane=PLANE)
    task: Any = CreateDeploymentOperator(task_id="create", scope=scope)
    task.astro = SimpleNamespace(
        list_deployments=lambda: (make_deployment(BRANCH, problem="createdAt: Field required", **looks),)
    )
    job = Job(Verb.CREATE, BRANCH, "a" * 40, name_deployment("shop", BRANCH), "", "why")
    with pytest.raises(RetryableError, match=r"cannot be read.*createdAt: Field required"):
        task._find(job)
    stranger = make_deployment("x", name="another", description="", problem="createdAt: Field required")
    task.astro = SimpleNamespace(list_deployments=lambda: (stranger,))
    assert task._find(job) is None


def test_what_control_read_and_handed_on_is_asked_again_right_before_a_write(stage: Stage) -> None:
    stage.push(BRANCH)
    (moved,) = stage.plan()
    stage.push_more(BRANCH, {"dags/more.py": "# more\n"})
    stage.push("dev-y")
    (merged,) = (run for run in stage.plan() if run.conf["job"]["branch"] == "dev-y")
    number = stage.merge("dev-y")
    assert moved.conf["job"]["answers"]
    assert moved.play()["deploy"] == "skipped"
    assert f"{BRANCH} moved from" in moved.xcoms["deploy"]["superseded"]
    assert merged.conf["job"]["answers"]
    assert merged.play()["create"] == "skipped"
    assert f"#{number} was merged" in merged.xcoms["create"]["superseded"]
    (found,) = stage.list_deployments()
    assert (found["name"], stage.list_deploys(found["id"])) == (name_deployment("shop", BRANCH), [])


def test_a_planned_create_needs_no_step_for_its_change_type_and_can_have_one(stage: Stage) -> None:
    head = stage.push(BRANCH)
    (run,) = stage.plan()
    run.step("claim")
    assert run.states["change_type"] == "skipped"
    decided = run.xcoms["claim"]["decision"]
    assert (decided["change_type"], decided["commit"], decided["author"]) == ("image-and-dags", head, "Ada Author")
    assert "no successful deploy" in run.tasks["claim"].decision  # type: ignore[attr-defined]
    assert run.step("change_type") == decided  # cleared by a person
    assert run.play()["settle"] == "success"


def test_a_claim_that_cannot_decide_leaves_it_to_the_step(stage: Stage) -> None:
    stage.push(BRANCH)
    (run,) = stage.plan()
    stage.change_project(root="nowhere")
    run.step("claim")
    assert "change_type" not in run.states
    assert run.play()["change_type"] == "failed"
    assert run.states["report"] == "success"


def test_a_worker_that_cannot_decide_fails_no_claim(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ChangeReader, "decide_first", fail)
    stage.push(BRANCH)
    (run,) = stage.plan()
    assert run.step("claim")["branch"] == BRANCH
    assert "change_type" not in run.states


def test_what_was_rendered_by_the_repositorys_old_name_makes_no_preview(stage: Stage) -> None:
    """It would bear a mark that the policy does not know: a person had to adopt it."""
    stage.push(BRANCH)
    (run,) = stage.plan()
    run.step("claim")
    run.step("render_template")
    stage.rename_repository("store")
    stage.change_project(repository="acme/store")
    stage.forget_requests()
    run.play()
    assert run.states["create"] == "skipped"
    assert stage.list_requests("astro", WRITES) == []
    (again,) = stage.plan()
    assert "failed" not in again.play().values()
    mark = parse_mark(stage.find_deployment(BRANCH)["description"])
    assert mark is not None
    assert mark.repository == "acme/store"
