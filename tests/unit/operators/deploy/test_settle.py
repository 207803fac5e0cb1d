"""The settle step: looks, waits in the triggerer, and only Astro's own record of this deploy lets the run succeed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred

from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.triggers.settled import DeploySettledTrigger

if TYPE_CHECKING:
    from tests.worlds.stages.fixtures import Log
    from tests.worlds.stages.stage import Run, Stage

BRANCH = "dev-x"
ASK = {
    "deployment_id": "clsome",
    "needle": "run=r try=1 ",
    "kind": "dags",
    "started_at": "2026-01-01T00:00:00+00:00",
    "was_hibernating": False,
    "said": "Successfully uploaded DAGs",
    "woke": False,
}


def start(stage: Stage, ask: dict[str, Any]) -> Run:
    run = stage.start_planned(Verb.DEPLOY, BRANCH, "1" * 40, "clsome")
    run.hand("deploy", ask)
    return run


def resume(run: Run, state: str) -> Any:
    event = {"state": state, "detail": "it was so", "deploy_id": "cldeploy", "seconds": 3.0}
    return run.resume("settle", "resume", event={**event, "image_tag": None, "dag_version": "v1"})


def test_it_waits_for_this_deploy_until_its_time_is_over(stage: Stage) -> None:
    stage.change_project(settle_timeout_s=300)
    ask = {**ASK, "deployment_id": stage.make_deployment(BRANCH)}
    with pytest.raises(TaskDeferred) as caught:
        start(stage, ask).execute("settle")
    trigger = caught.value.trigger
    assert isinstance(trigger, DeploySettledTrigger)
    watched = {name: getattr(trigger, name) for name in ("deployment_id", "needle", "kind", "started_at")}
    assert watched == {name: ask[name] for name in watched}
    left = datetime.fromisoformat(trigger.deadline) - datetime.now(UTC)
    assert timedelta(seconds=280) < left <= timedelta(seconds=300)
    assert caught.value.method_name == "resume"


def test_a_deploy_that_ended_at_the_first_look_is_not_parked(stage: Stage) -> None:
    with pytest.raises(AirflowFailException, match=r"settle \(failed\): the Deployment is gone; the CLI said: S"):
        start(stage, ASK).execute("settle")


@pytest.mark.parametrize("state", ["settled", "overtaken"])
def test_a_deploy_that_settled_or_was_overtaken_is_no_failure(stage: Stage, state: str, log: Log) -> None:
    found = resume(start(stage, ASK), state)
    assert found == {"state": state, "deploy_id": "cldeploy", "image_tag": None, "dag_version": "v1", "seconds": 3.0}
    assert f"111111111111 of dev-x {'was ' * (state == 'overtaken')}{state}: it was so" in log.read()


@pytest.mark.parametrize("state", ["failed", "timeout", "something new"])
def test_every_other_ending_fails_with_the_clis_words(stage: Stage, state: str) -> None:
    run = start(stage, ASK)
    with pytest.raises(AirflowFailException) as caught:  # the same task has nothing left to try, a later run has
        resume(run, state)
    said = f"the deploy did not settle ({state}): it was so; the CLI said: Successfully uploaded DAGs"
    assert str(caught.value) == said
    assert run.read_failure("settle") == {"is_permanent": False, "cause": said}


def test_a_deploy_without_a_record_never_settles(stage: Stage) -> None:
    stage.change_project(settle_timeout_s=1)
    run = start(stage, {**ASK, "deployment_id": stage.make_deployment(BRANCH)})
    with pytest.raises(AirflowFailException, match="the Astro CLI said that it succeeded, but "):
        run.step("settle")


def test_after_a_skipped_deploy_there_is_nothing_to_wait_for(stage: Stage) -> None:
    run = stage.start_planned(Verb.DEPLOY, BRANCH, "1" * 40, "clsome")
    with pytest.raises(AirflowSkipException, match="nothing to do: 'deploy' was skipped"):
        run.execute("settle")
