"""The change type step: against what is deployed, with a record of why, and a memory of what needs no deploy."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowSkipException

from include.deploy_ops.core.errors import RetryableError
from include.deploy_ops.core.history import DeployHistory
from include.deploy_ops.core.model import ChangeType, Deploy, DeployKind, DeployStatus
from include.deploy_ops.core.plan.remembered import Judgement
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.hooks.github import trees
from include.deploy_ops.operators.deploy.classify import ClassifyChangeOperator
from include.deploy_ops.run.job import Job
from tests.worlds.stages.pages import fold_page
from tests.worlds.values.examples import OWNER, make_deployment, make_project, sha

if TYPE_CHECKING:
    from include.deploy_ops.core.model import ChangeDecision
    from tests.worlds.stages.fixtures import Log
    from tests.worlds.stages.stage import Run, Stage

BRANCH = "dev-x"


@pytest.fixture
def preview(stage: Stage) -> str:
    """Return the id of a preview of the branch as it was pushed first."""
    return stage.create_preview(BRANCH, stage.push(BRANCH))


def start(stage: Stage, head: str, deployment_id: str) -> Run:
    return stage.start_planned(Verb.DEPLOY, BRANCH, head, deployment_id)


def test_a_readme_deploys_nothing_and_is_remembered(stage: Stage, preview: str) -> None:
    head = stage.push_more(BRANCH, {"README.md": "more\n"})
    (run,) = stage.plan()
    run.step("claim")
    assert run.step("change_type")["change_type"] == "none"
    assert "| none | README.md |" in fold_page(run.tasks["change_type"].decision)  # type: ignore[attr-defined]
    newest = stage.list_deploys(preview)[0]["id"]
    judgement = stage.memory.environment(BRANCH).read().judgement
    assert judgement is not None
    assert judgement == Judgement(head, newest, stage.scope.policy, judgement.reason)
    assert run.play()["report"] == "success"
    worked = {"claim", "change_type", "report"}
    assert {task: state for task, state in run.states.items() if state != "skipped"} == dict.fromkeys(worked, "success")
    assert len(stage.list_deploys(preview)) == 1
    assert stage.plan() == []


def test_a_forced_run_without_a_change_remembers_nothing(stage: Stage, preview: str) -> None:
    run = stage.start_form(branch=BRANCH)
    assert run.play()["deploy"] == "skipped"
    assert run.xcoms["change_type"]["return_value"]["change_type"] == "none"
    assert stage.memory.environment(BRANCH).read().judgement is None


def test_a_person_forces_what_is_deployed_already(stage: Stage, preview: str) -> None:
    run = stage.start_form(branch=BRANCH, deploy_type="image-and-dags")
    run.step("claim")
    assert run.step("change_type")["change_type"] == "image-and-dags"


def test_a_person_forces_less_than_what_is_needed(stage: Stage, log: Log) -> None:
    stage.push(BRANCH)
    stage.make_deployment(BRANCH)
    run = stage.start_form(branch=BRANCH, deploy_type="dags")
    run.step("claim")
    assert run.step("change_type")["change_type"] == "dags"
    assert "set to dags by mira" in log.read()


@pytest.mark.parametrize(("path", "kind"), [("dags/orders/more.py", "dags"), ("requirements.txt", "image-and-dags")])
def test_what_changed_decides(stage: Stage, preview: str, path: str, kind: str) -> None:
    first = stage.list_deploys(preview)[0]["description"].partition(" commit=")[2][:40]
    head = stage.push_more(BRANCH, {path: "# more\n"})
    run = start(stage, head, preview)
    decision = run.step("change_type")
    assert decision.pop("reason")
    assert (decision.pop("subject"), decision.pop("author")) == (f"Change {path}", "Ada Author")
    assert decision == {
        "changed_dags": [path] if kind == "dags" else [],
        "change_type": kind,
        "commit": head,
        "image_base": first,
        "dags_base": first,
        "observed": stage.list_deploys(preview)[0]["id"],
        "is_partial": False,
    }
    assert f"| {kind} | {path} |" in fold_page(run.tasks["change_type"].decision)  # type: ignore[attr-defined]


def test_git_gives_the_trees_where_many_are_asked_for(
    stage: Stage, preview: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start(stage, stage.push_more(BRANCH, {"dags/orders/more.py": "# more\n"}), preview)
    monkeypatch.setattr(trees, "REQUESTS_MAX", 0)
    stage.forget_requests()
    assert run.step("change_type")["change_type"] == "dags"
    assert not [asked for asked in stage.list_requests("github") if "/git/trees/" in asked]
    assert [asked for asked in stage.list_requests("git") if asked.endswith("/git-upload-pack")]


def test_a_deployment_without_records_needs_an_image(stage: Stage) -> None:
    head = stage.push(BRANCH)
    decision = start(stage, head, stage.make_deployment(BRANCH)).step("change_type")
    assert decision["change_type"] == "image-and-dags"
    assert decision["image_base"] is None
    assert "no successful deploy with a known commit" in decision["reason"]


def test_a_base_that_is_gone_needs_an_image(stage: Stage, preview: str) -> None:
    record = stage.list_deploys(preview)[0]
    commit = record["description"].partition(" commit=")[2][:40]
    lost = record["description"].replace(commit, "f" * 40)
    stage.ask_astro("POST", f"deployments/{preview}/deploys/{record['id']}", {"description": lost})
    decision = start(stage, stage.push_more(BRANCH, {"README.md": "more\n"}), preview).step("change_type")
    assert decision["change_type"] == "image-and-dags"
    assert "commit ffffffffffff of the last deploy is not in the repository any more" in decision["reason"]


def test_without_dag_deploys_a_dag_needs_an_image(stage: Stage, preview: str) -> None:
    stage.edit_deployment(preview, isDagDeployEnabled=False)
    head = stage.push_more(BRANCH, {"dags/more.py": "# more\n"})
    assert start(stage, head, preview).step("change_type")["change_type"] == "image-and-dags"


def test_a_deployment_that_is_gone_fails_the_run(stage: Stage) -> None:
    run = start(stage, stage.push(BRANCH), "clgone")
    with pytest.raises(RetryableError, match="Deployment clgone of dev-x is gone; the next pass looks again"):
        run.step("change_type")


def test_an_update_needs_no_change_type(stage: Stage) -> None:
    run = stage.start_planned(Verb.UPDATE, BRANCH, stage.push(BRANCH), "clsome")
    stage.forget_requests()
    with pytest.raises(AirflowSkipException, match="not needed: this run is to update"):
        run.step("change_type")
    assert stage.list_requests("astro") == []


@pytest.mark.parametrize(
    ("lacks_dags", "has_dag_deploys", "kind"),
    [
        (True, True, ChangeType.IMAGE),
        (False, True, ChangeType.NONE),
        (True, False, ChangeType.NONE),  # the image carries them
    ],
)
def test_what_the_newest_deploy_was_to_bring_and_did_not_is_brought_now(
    kind: ChangeType, *, lacks_dags: bool, has_dag_deploys: bool
) -> None:
    history = DeployHistory(image_commit=sha("a"), dags_commit=sha("a"), lacks_dags=lacks_dags)
    assert decide(history, has_dag_deploys=has_dag_deploys).change_type is kind


JOB = Job(Verb.DEPLOY, "dev-x", sha("c"), "shop-dev-x", "cl1", "why")


def make_task() -> Any:
    """Return the step, in a repository all of whose commits have the same files."""
    scope: Any = SimpleNamespace(fleet=Asset("fleet"), project=make_project(), owner=OWNER)
    task: Any = ClassifyChangeOperator(task_id="change_type", scope=scope)
    task.github = SimpleNamespace(get_commit=lambda _: SimpleNamespace(tree=sha("f")), read_tree=lambda _: ())
    return task


def decide(history: DeployHistory, *, has_dag_deploys: bool = True) -> ChangeDecision:
    """Return what the step decides."""
    found: ChangeDecision = make_task()._decide(JOB, history, has_dag_deploys=has_dag_deploys)
    return found


@pytest.mark.parametrize(
    ("shown", "kind"),
    [
        ({}, ChangeType.NONE),
        ({"image_tag": "deploy-2"}, ChangeType.IMAGE),
        ({"desired_dag_tarball_version": "v2"}, ChangeType.IMAGE),
    ],
)
def test_on_top_of_a_deploy_whose_record_is_gone_an_image_is_deployed(shown: dict[str, Any], kind: ChangeType) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    record = Deploy("d1", "cl1", DeployStatus.DEPLOYED, DeployKind.IMAGE_AND_DAG, at, git_commit=sha("a"))
    record = replace(record, image_tag="deploy-1", dag_tarball_version="v1")
    task = make_task()
    deployment = make_deployment("dev-x", **shown)
    task.astro = SimpleNamespace(get_deployment=lambda _: deployment, list_deploys=lambda _: (record,))
    history, has_dag_deploys = task._observe(JOB)
    assert decide(history, has_dag_deploys=has_dag_deploys).change_type is kind
