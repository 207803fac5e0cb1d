"""The update step: brings the template's changes, and keeps what people set by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.errors import ObservationError, RetryableError
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.hooks.astro.cli import AstroCli
from tests.worlds.stages.stage import WRITES

if TYPE_CHECKING:
    from tests.worlds.stages.fixtures import Log
    from tests.worlds.stages.stage import Run, Stage

BRANCH = "dev-x"
BY_HAND = [
    {"key": "STAGE", "value": "mine", "isSecret": False},
    {"key": "BY_HAND", "value": "kept", "isSecret": False},
    {"key": "PASSWORD", "value": "hidden", "isSecret": True},
]


def start(stage: Stage, deployment_id: str, **changes: str) -> Run:
    return stage.start_planned(Verb.UPDATE, BRANCH, stage.push(BRANCH), deployment_id, **changes)


def test_variables_set_by_hand_and_secrets_survive(stage: Stage) -> None:
    deployment_id = stage.make_deployment(BRANCH, contactEmails=["mira@acme.example"])
    stage.edit_deployment(deployment_id, environmentVariables=BY_HAND)
    before = {each["key"]: each for each in stage.find_deployment(BRANCH)["environmentVariables"]}
    assert "failed" not in start(stage, deployment_id).play().values()
    found = stage.find_deployment(BRANCH)
    after = {each["key"]: each for each in found["environmentVariables"]}
    assert after.keys() == before.keys()
    assert after["STAGE"]["value"] == "preview"
    assert after["BY_HAND"] == before["BY_HAND"]
    assert after["PASSWORD"] == before["PASSWORD"]  # with its time of change: Astro keeps a secret that came unchanged
    assert sorted(found["contactEmails"]) == ["data-platform@acme.example", "mira@acme.example"]


def list_variables(stage: Stage) -> set[str]:
    return {each["key"] for each in stage.find_deployment(BRANCH)["environmentVariables"]}


def test_a_variable_that_the_template_has_no_longer_goes(stage: Stage) -> None:
    deployment_id = stage.create_preview(BRANCH, stage.push(BRANCH))
    assert "STAGE" in list_variables(stage)
    stage.edit_deployment(deployment_id, environmentVariables=BY_HAND)
    stage.change_project(previews={"overrides": {"environment_variables": [{"key": "NEW", "value": "1"}]}})
    (run,) = stage.plan()
    assert "failed" not in run.play().values()
    assert list_variables(stage) == {"NEW", "BY_HAND", "PASSWORD"}
    assert stage.plan() == []


def fail_after(monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    """Let the CLI do what it is told, and then fail."""
    call = getattr(AstroCli, verb)

    def do_and_fail(*arguments: Any) -> None:
        call(*arguments)
        raise RetryableError("the answer was lost")

    monkeypatch.setattr(AstroCli, verb, do_and_fail)


@pytest.mark.parametrize("verb", ["create", "update"])
def test_what_a_call_wrote_that_then_failed_goes_when_the_template_has_it_no_longer(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    head = stage.push(BRANCH)
    if verb == "update":
        stage.create_preview(BRANCH, head)
    stage.change_project(previews={"overrides": {"environment_variables": [{"key": "BRIEF", "value": "1"}]}})
    (run,) = stage.plan()
    assert run.conf["job"]["verb"] == verb
    with monkeypatch.context() as patch:
        fail_after(patch, verb)
        assert run.play()[verb] == "failed"
    assert "BRIEF" in list_variables(stage)
    stage.change_project(previews={"overrides": {"environment_variables": [{"key": "NEW", "value": "1"}]}})
    for _ in range(3):
        for run in stage.plan():
            assert "failed" not in run.play().values(), run.xcoms
    assert list_variables(stage) == {"NEW"}
    assert stage.plan() == []


def test_where_nobody_remembers_what_the_template_had_it_stays_and_is_told(stage: Stage, log: Log) -> None:
    deployment_id = stage.make_deployment(BRANCH)
    stage.edit_deployment(deployment_id, environmentVariables=BY_HAND)
    stage.change_project(previews={"overrides": {"environment_variables": [{"key": "NEW", "value": "1"}]}})
    assert "failed" not in start(stage, deployment_id).play().values()
    assert list_variables(stage) >= {"NEW", "BY_HAND", "PASSWORD"}
    told = next(line for line in log.read().splitlines() if "nobody remembers whether the template had them" in line)
    assert all(f"variable {each['key']}" in told for each in BY_HAND)


def test_a_change_of_the_template_reaches_a_preview_that_was_renamed(stage: Stage) -> None:
    deployment_id = stage.create_preview(BRANCH, stage.push(BRANCH))
    stage.edit_deployment(deployment_id, name="mira's")
    stage.change_project(previews={"overrides": {"configuration": {"scheduler_size": "MEDIUM"}}})
    (run,) = stage.plan()
    assert (run.conf["job"]["verb"], run.conf["job"]["reason"]) == ("update", "the template changed")
    assert "failed" not in run.play().values(), run.xcoms
    found = stage.ask_astro("GET", f"deployments/{deployment_id}")
    assert (found["name"], found["schedulerSize"]) == ("mira's", "MEDIUM")
    assert stage.plan() == []


def test_a_preview_that_sleeps_gets_the_change_and_sleeps_on(stage: Stage) -> None:
    """Who wakes it finds what trunk says, and a change of the template wakes no whole fleet."""
    deployment_id = stage.create_preview(BRANCH, stage.push(BRANCH))
    stage.ask_astro("POST", f"deployments/{deployment_id}/hibernation-override", {"isHibernating": True})
    asleep = stage.find_deployment(BRANCH)["scalingSpec"]["hibernationSpec"]["override"]
    stage.change_project(previews={"overrides": {"environment_variables": [{"key": "NEW", "value": "1"}]}})
    (run,) = stage.plan()
    stage.forget_requests()
    assert "failed" not in run.play().values()
    assert list_variables(stage) == {"NEW"}
    assert not any("hibernation-override" in line for line in stage.list_requests("astro"))
    assert stage.find_deployment(BRANCH)["scalingSpec"]["hibernationSpec"]["override"] == asleep


def test_nothing_is_written_in_the_name_of_a_repository_that_is_called_otherwise_by_now(stage: Stage) -> None:
    run = start(stage, stage.make_deployment(BRANCH))
    run.step("render_template")
    stage.forget_requests()
    stage.rename_repository("store")
    with pytest.raises(ObservationError, match="acme/store"):
        run.step("update")
    assert stage.list_requests("astro", WRITES) == []


def test_without_our_mark_nothing_is_updated(stage: Stage) -> None:
    deployment_id = stage.make_deployment(BRANCH, description="taken over by hand")
    run = start(stage, deployment_id)
    run.step("render_template")
    stage.forget_requests()
    with pytest.raises(RetryableError, match="lacks our mark"):
        run.step("update")
    assert stage.list_requests("astro", WRITES) == []


def test_an_update_without_effect_is_no_success(stage: Stage) -> None:
    run = start(stage, stage.make_deployment(BRANCH))
    run.step("render_template")
    stage.sandbox.plant(cli="update", exit_0_without_deploying=True)
    with pytest.raises(RetryableError, match="ended without saying that it succeeded"):
        run.step("update")
