"""Conf and XComs of a preview's run, rewritten by whoever may edit that DAG's runs: only what was decided is done.

What a forger cannot do is seal. Where a test seals what is forged, as a hole elsewhere might let one, the second wall
is asked: each DAG works on its own environments.
"""

from __future__ import annotations

import copy
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.deploy_ops.core.errors import PermanentError, SealError
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.run.job import load_job, make_dispatch
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
OWN_FORGERIES: dict[str, dict[str, Any]] = {
    "another branch": {"branch": "dev-other"},
    "a delete": {"verb": "delete"},
    "another commit": {"commit": "1" * 40},
    "no dry run": {"is_dry": False, "reason": "for real"},
    "a person's word": {"work": "", "person": "ann"},
    "a kept preview": {"verb": "keep"},
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


def copy_stores(stage: Stage) -> dict[str, Any]:
    return copy.deepcopy({name: store.values for name, store in stage.stores.items()})


@pytest.mark.parametrize("forged", FORGERIES.values(), ids=FORGERIES)
def test_a_sealed_claim_of_another_dags_environment_ends_every_step(
    stage: Stage, run: Run, forged: dict[str, Any]
) -> None:
    run.rehand("claim", **forged)
    before = copy_stores(stage)
    for step in STEPS:
        with pytest.raises(AirflowFailException, match=r"not worked on by shop\.preview"):
            run.step(step)
    with pytest.raises(PermanentError, match=r"not worked on by shop\.preview"):
        run.step("report")
    assert list_writes(stage) == []
    assert copy_stores(stage) == before


@pytest.mark.parametrize("forged", (FORGERIES | OWN_FORGERIES).values(), ids=(FORGERIES | OWN_FORGERIES).keys())
def test_a_forged_claim_ends_every_step(stage: Stage, run: Run, forged: dict[str, Any]) -> None:
    run.xcoms["claim"]["return_value"] |= forged
    before = copy_stores(stage)
    for step in STEPS:
        with pytest.raises(AirflowFailException, match="is not what was sealed there: it was changed by hand"):
            run.step(step)
    with pytest.raises(SealError, match="is not what was sealed there"):
        run.step("report")
    assert list_writes(stage) == []
    assert copy_stores(stage) == before


@pytest.mark.parametrize("forged", (FORGERIES | OWN_FORGERIES).values(), ids=(FORGERIES | OWN_FORGERIES).keys())
def test_a_forged_conf_starts_nothing(stage: Stage, run: Run, forged: dict[str, Any]) -> None:
    run.conf["job"] |= forged
    before = copy_stores(stage)
    with pytest.raises(AirflowFailException, match="is not what was sealed there: it was changed by hand"):
        run.step("claim")
    assert list_writes(stage) == []
    assert copy_stores(stage) == before


@pytest.mark.parametrize("forged", FORGERIES.values(), ids=FORGERIES)
def test_a_run_that_another_dag_triggers_works_on_its_own_environments(
    stage: Stage, run: Run, forged: dict[str, Any]
) -> None:
    job = load_job({**run.conf["job"], **forged})
    other = stage.start_dispatched(make_dispatch(stage.seals, run.dag_id, "another", job))
    before = copy_stores(stage)
    with pytest.raises(AirflowFailException, match=r"not worked on by shop\.preview"):
        other.step("claim")
    assert list_writes(stage) == []
    assert copy_stores(stage) == before


def test_a_sealed_conf_cannot_be_played_again_in_another_run(stage: Stage, run: Run) -> None:
    other = stage.start(copy.deepcopy(run.conf), "another")
    with pytest.raises(AirflowFailException, match=r"conf of run another of .* is not what was sealed there"):
        other.step("claim")
    assert list_writes(stage) == []


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({"observed": "d0"}, "deploy"),
        ({"commit": "1" * 40}, "image"),
        ({"change_type": "none"}, "deploy"),
        ({"dags_base": None, "is_partial": True}, "deploy"),
    ],
)
def test_a_forged_decision_deploys_nothing(stage: Stage, run: Run, changes: dict[str, Any], step: str) -> None:
    run.xcoms["change_type"]["return_value"] |= changes
    with pytest.raises(AirflowFailException, match=r"change_type\.return_value of run .* is not what was sealed there"):
        run.step(step)
    assert list_writes(stage) == []


def test_a_forged_image_is_not_deployed(stage: Stage) -> None:
    head = stage.push(BRANCH, {"requirements.txt": "# more\n"})
    run = stage.start_planned(Verb.DEPLOY, BRANCH, head, stage.make_deployment(BRANCH))
    run.step("change_type")
    run.step("image")
    run.xcoms["image"]["return_value"] |= {"image": f"{stage.sandbox.host}/acme/evil:1", "digest": f"sha256:{'0' * 64}"}
    stage.forget_requests()
    with pytest.raises(AirflowFailException, match=r"image\.return_value of run .* is not what was sealed there"):
        run.step("deploy")
    assert list_writes(stage) == []
    assert stage.list_requests("registry") == []


def test_a_forged_template_makes_no_deployment(stage: Stage) -> None:
    head = stage.push(BRANCH)
    run = stage.start_planned(Verb.CREATE, BRANCH, head)
    run.step("change_type")
    text = run.step("render_template")
    run.xcoms["render_template"]["return_value"] = text.replace("scheduler_size: SMALL", "scheduler_size: EXTRA_LARGE")
    run.xcoms["render_template"]["return_value"] += "\n# more\n"
    run.states["image"] = "skipped"
    stage.forget_requests()
    with pytest.raises(AirflowFailException, match=r"render_template\.return_value of run .* is not what was sealed"):
        run.step("create")
    assert list_writes(stage) == []
    assert stage.list_deployments() == []


def test_a_forged_deployment_id_is_not_deployed_to(stage: Stage) -> None:
    head = stage.push(BRANCH)
    other = stage.make_deployment("dev-other")
    run = stage.start_planned(Verb.CREATE, BRANCH, head)
    for step in ("change_type", "render_template", "image", "create"):
        run.step(step)
    run.xcoms["create"]["return_value"] = other
    stage.forget_requests()
    with pytest.raises(AirflowFailException, match=r"create\.return_value of run .* is not what was sealed there"):
        run.step("deploy")
    assert list_writes(stage) == []
    assert stage.list_deploys(other) == []


def test_a_forged_ask_lets_nobody_wait_for_another_deploy(stage: Stage, run: Run) -> None:
    run.xcoms["deploy"] = {"return_value": {"deployment_id": "cl1", "needle": "", "kind": "dags", "said": "ok"}}
    with pytest.raises(AirflowFailException, match="bears no seal"):
        run.step("settle")


@pytest.mark.parametrize("seal", [None, "", "1", {"a": 1}, ["1.2.3"], "1.00000000.00", "é"])
def test_what_is_no_seal_opens_nothing(stage: Stage, run: Run, seal: Any) -> None:
    run.xcoms["claim"]["seal.return_value"] = seal
    with pytest.raises(AirflowFailException, match=r"bears no seal|sealed under another Astro token"):
        run.step("deploy")
    assert list_writes(stage) == []


def test_the_seal_of_another_task_of_the_run_opens_nothing(stage: Stage, run: Run) -> None:
    run.xcoms["claim"]["seal.return_value"] = run.xcoms["change_type"]["seal.return_value"]
    with pytest.raises(AirflowFailException, match="is not what was sealed there"):
        run.step("deploy")
    assert list_writes(stage) == []


def test_a_rotated_token_voids_what_is_under_way_and_says_so(
    stage: Stage, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = json.loads(os.environ["AIRFLOW_CONN_ASTRO_DEFAULT"])
    monkeypatch.setenv("AIRFLOW_CONN_ASTRO_DEFAULT", json.dumps(connection | {"password": "the-next-token"}))
    with pytest.raises(AirflowFailException, match="the token of the project's connection was rotated since"):
        run.step("deploy")
    assert list_writes(stage) == []


def test_no_seal_tells_the_token(stage: Stage, run: Run) -> None:
    seals = [value for values in run.xcoms.values() for key, value in values.items() if key.startswith("seal.")]
    assert len(seals) == 2
    assert all(len(seal) == 2 + 8 + 1 + 64 for seal in seals)
