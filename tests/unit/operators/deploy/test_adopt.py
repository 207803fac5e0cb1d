"""Adoption: a Deployment of a preview's name becomes ours after a yes, and only one that bears nobody's mark."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.standard.operators import hitl
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskAwaitingInput

from include.deploy_ops.core.naming import name_deployment, parse_mark
from tests.worlds.stages.request import answer_request
from tests.worlds.stages.stage import read_refusal

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Run, Stage

BRANCH = "dev-x"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what a person is shown."""
    shown: dict[str, Any] = {}
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **detail: shown.update(detail))
    return shown


def plant(stage: Stage, **changes: Any) -> str:
    stage.push(BRANCH)
    return stage.make_deployment(BRANCH, **{"description": "made by hand", **changes})


def start(stage: Stage, **params: Any) -> Run:
    return stage.start_form(branch=BRANCH, action="adopt", reason="it was there first", **params)


def agree(stage: Stage) -> Run:
    """Return a run that was asked about, and got a yes."""
    run = start(stage)
    run.step("claim")
    run.step("render_template")
    with pytest.raises(TaskAwaitingInput):
        run.step("approve_adoption")
    answer_request(run, "Approve", task_id="approve_adoption")
    return run


def test_a_yes_adopts_nothing_while_a_file_of_the_policy_cannot_be_read(stage: Stage, asked: dict[str, Any]) -> None:
    deployment_id = plant(stage)
    run = agree(stage)
    stage.scope = replace(stage.scope, unread=("include/deploy_ops.d/ml.yaml",))
    run.play()
    assert "deploy_ops.d/ml.yaml cannot be read, where it may stand" in run.read_failure("adopt")["cause"]
    assert stage.ask_astro("GET", f"deployments/{deployment_id}")["description"] == "made by hand"


def test_a_yes_adopts_nothing_in_the_name_of_a_repository_that_is_called_otherwise_by_now(
    stage: Stage, asked: dict[str, Any]
) -> None:
    deployment_id = plant(stage)
    run = agree(stage)
    stage.rename_repository("store")
    run.play()
    assert "acme/store" in run.read_failure("adopt")["cause"]
    assert stage.ask_astro("GET", f"deployments/{deployment_id}")["description"] == "made by hand"


def test_after_a_yes_it_is_ours_and_follows_the_branch(stage: Stage, asked: dict[str, Any]) -> None:
    deployment_id = plant(stage)
    assert stage.plan() == []  # its name is taken
    run = start(stage)
    run.step("claim")
    run.step("render_template")
    with pytest.raises(TaskAwaitingInput):
        run.step("approve_adoption")
    assert asked["subject"] == f"Adopt {name_deployment('shop', BRANCH)} as the preview of {BRANCH}?"
    assert deployment_id in asked["body"]
    assert "it was there first" in asked["body"]
    answer_request(run, "Approve", task_id="approve_adoption")
    assert run.step("adopt") == deployment_id
    run.play()
    mark = parse_mark(stage.ask_astro("GET", f"deployments/{deployment_id}")["description"])
    assert mark is not None
    assert mark.branch == BRANCH
    (deploy,) = stage.plan()
    assert deploy.conf["job"]["verb"] == "deploy"
    assert "failed" not in deploy.play().values()
    assert stage.plan() == []


def test_a_mark_that_somebody_else_set_meanwhile_wins(stage: Stage, asked: dict[str, Any]) -> None:
    deployment_id = plant(stage)
    run = start(stage)
    run.step("claim")
    run.step("render_template")
    with pytest.raises(TaskAwaitingInput):
        run.step("approve_adoption")
    assert deployment_id in asked["body"]
    answer_request(run, "Approve", task_id="approve_adoption")
    stage.edit_deployment(deployment_id, description=stage.write_mark(BRANCH, control_plane="other"))
    with pytest.raises(Exception, match="bears a mark by now"):
        run.step("adopt")


@pytest.mark.parametrize("marked", ["Reject", "late", "marked as a success by hand"])
def test_without_a_yes_it_stays_as_it_is(stage: Stage, marked: str) -> None:
    deployment_id = plant(stage)
    run = start(stage)
    run.step("claim")
    run.step("render_template")
    run.states["approve_adoption"] = "success"
    if marked in {"Reject", "late"}:
        answer_request(run, "Reject", timedout=marked == "late", task_id="approve_adoption")
    with pytest.raises(AirflowSkipException, match=r"rejected|was skipped"):
        run.step("adopt")
    assert stage.ask_astro("GET", f"deployments/{deployment_id}")["description"] == "made by hand"


def test_a_dry_run_asks_nobody(stage: Stage, asked: dict[str, Any]) -> None:
    plant(stage)
    run = start(stage, dry_run=True)
    run.step("claim")
    with pytest.raises(AirflowSkipException, match="dry run; would ask"):
        run.step("approve_adoption")
    assert asked == {}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "other"}, "the workspace has no Deployments named"),
        ({"description": "mark of another"}, "it is never adopted"),
        ({"description": "ours"}, "has a Deployment already"),
    ],
)
def test_what_cannot_be_adopted_is_told(stage: Stage, changes: dict[str, str], said: str) -> None:
    marks = {
        "mark of another": stage.write_mark(BRANCH, control_plane="other"),
        "ours": stage.write_mark(BRANCH),
    }
    plant(stage, **{key: marks.get(value, value) for key, value in changes.items()})
    assert said in read_refusal(start(stage))


def test_what_astro_cannot_change_is_told_before_anybody_is_asked(stage: Stage) -> None:
    plant(stage, isDevelopmentMode=False)
    run = start(stage)
    run.step("claim")
    with pytest.raises(AirflowFailException, match="cannot become a preview, Astro cannot change"):
        run.step("render_template")
