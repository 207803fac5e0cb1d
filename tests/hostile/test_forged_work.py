"""Conf and XComs of a preview's run, rewritten by whoever may edit that DAG's runs: no other environment is reached."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.core.plan.work import Verb
from tests.worlds.stages.stage import WRITES

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Run, Stage

BRANCH = "dev-x"
FORGERIES: dict[str, dict[str, Any]] = {
    "a target": {"target": "production"},
    "a target that the policy lacks": {"target": "nowhere"},
    "the deploy branch": {"verb": "promote"},
    "a merge": {"target": "production", "verb": "merge", "pull": 1},
    "a release that a person approved": {"target": "production", "work": "", "observed": "", "person": "ann"},
    "another DAG's name": {"target": "preview.x"},
}
STEPS = ("change_type", "render_template", "image", "create", "update", "deploy", "settle", "delete")


@pytest.fixture
def run(stage: Stage) -> Run:
    head = stage.push(BRANCH)
    made = stage.start_planned(Verb.DEPLOY, BRANCH, head, stage.make_deployment(BRANCH))
    made.step("change_type")
    stage.forget_requests()
    return made


def list_writes(stage: Stage) -> list[str]:
    return stage.list_requests("astro", WRITES) + stage.list_requests("github", WRITES)


@pytest.mark.parametrize("forged", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_claim_ends_every_step(stage: Stage, run: Run, forged: dict[str, Any]) -> None:
    run.xcoms["claim"]["return_value"] |= forged
    before = copy.deepcopy({name: store.values for name, store in stage.stores.items()})
    for step in STEPS:
        with pytest.raises(AirflowFailException, match=r"not worked on by shop\.preview"):
            run.step(step)
    with pytest.raises(PermanentError, match=r"not worked on by shop\.preview"):
        run.step("report")
    assert list_writes(stage) == []
    assert {name: store.values for name, store in stage.stores.items()} == before


@pytest.mark.parametrize("forged", FORGERIES.values(), ids=FORGERIES)
def test_a_run_that_another_dag_triggers_works_on_its_own_environments(
    stage: Stage, run: Run, forged: dict[str, Any]
) -> None:
    run.conf["job"] |= forged
    before = copy.deepcopy({name: store.values for name, store in stage.stores.items()})
    with pytest.raises(AirflowFailException, match=r"not worked on by shop\.preview"):
        run.step("claim")
    assert list_writes(stage) == []
    assert {name: store.values for name, store in stage.stores.items()} == before
