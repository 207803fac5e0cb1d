"""A build that a person approved: it waits for a container engine, and stops when the policy forbids it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.deploy_ops.core.errors import RetryableError
from include.deploy_ops.engine import installed_engine
from include.deploy_ops.engine.installed_engine import InstalledEngine
from include.deploy_ops.operators.deploy.deploy import DeployCodeOperator
from tests.worlds.stages.request import Gate, open_gate
from tests.worlds.stages.stage import WRITES

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Run, Stage


@pytest.fixture
def gate(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Give a gated production that may be built, of which a person approved a build."""
    gate = open_gate(stage, monkeypatch, build=True)
    stage.change_project(image=("build",))
    gate.approve(gate.read_merge(), kind="image-and-dags", image_source="build", image_origin="build")
    return gate


def start(gate: Gate) -> Run:
    """Return the run that deploys it, claimed and decided."""
    (dispatched,) = gate.plan()
    run = gate.stage.start_dispatched(dispatched)
    for step in ("claim", "change_type"):
        run.step(step)
    return run


def forbid_builds(gate: Gate) -> None:
    """Edit the policy."""
    targets = gate.stage.scope.project.targets
    production = targets["production"].model_copy(update={"build": False})
    gate.stage.change_project(targets={**targets, "production": production})


def test_without_an_engine_the_yes_stays_and_what_is_missing_is_told(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start(gate)
    monkeypatch.setattr(installed_engine, "NAMES", ())
    with pytest.raises(RetryableError, match="no container engine for it: no docker or podman on this worker's PATH"):
        run.step("image")
    run.states |= {"deploy": "upstream_failed", "settle": "upstream_failed"}
    run.step("report")
    gate.stage.airflow.states[run.run_id] = "failed"
    ending = gate.remembered.endings["deploy"]
    assert (ending.is_failure, ending.is_permanent) == (True, False)
    assert gate.remembered.approval.person == "ada"
    assert gate.plan() == [], "it is tried again in a minute, and nobody is asked"


def test_a_build_that_the_policy_forbids_by_now_is_not_begun(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    run = start(gate)
    monkeypatch.setattr(installed_engine, "find_engine", lambda: InstalledEngine("docker", "/nowhere", "29"))
    assert run.step("image")["source"] == "build"
    forbid_builds(gate)
    begun: list[str] = []
    monkeypatch.setattr(DeployCodeOperator, "_deploy", lambda *_: begun.append("deploy"))
    gate.stage.forget_requests()
    with pytest.raises(AirflowFailException, match=r"set `targets\.production\.build: true`"):
        run.step("deploy")
    assert begun == gate.stage.list_requests("astro", WRITES) == []


def test_a_build_that_the_policy_forbids_before_its_image_is_looked_for_is_asked_anew(gate: Gate) -> None:
    run = start(gate)
    forbid_builds(gate)
    with pytest.raises(AirflowSkipException, match=r"set `targets\.production\.build: true`; the next request asks"):
        run.step("image")
    assert gate.remembered.approval is None
