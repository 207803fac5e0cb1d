"""The doctor's look at the policy's files: a table, and a failure where anything is wrong."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.bases.operator import ExecutorSafeguard
from airflow.sdk.exceptions import AirflowFailException

from include.deploy_ops.core.policy.file import POLICY_VARIABLE
from include.deploy_ops.operators.doctor.policy import CheckPolicyOperator
from tests.worlds.doubles.airflow import FakeAirflow, FakeTaskInstance

GOOD = "control_plane: acme\nprojects:\n  - {name: shop, repository: acme/shop, image: [reuse]}\n"


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the policy's file, a valid one."""
    path = tmp_path / "policy.yaml"
    path.write_text(GOOD)
    monkeypatch.setenv(POLICY_VARIABLE, str(path))
    monkeypatch.setattr(ExecutorSafeguard, "test_mode", True)
    return path


def run(task: CheckPolicyOperator) -> None:
    context: Any = {
        "ti": FakeTaskInstance(FakeAirflow(), {}, "policy-files", 1, "deploy_ops.doctor"),
        "dag_run": SimpleNamespace(run_id="scheduled__1"),
    }
    task.execute(context)


@pytest.mark.usefixtures("policy")
def test_a_valid_policy_is_told_with_its_projects() -> None:
    task = CheckPolicyOperator(task_id="policy-files")
    run(task)
    assert task.table == "Nothing is wrong with the policy.\n\nProjects: shop"


def test_what_is_wrong_is_shown_and_fails_the_task(policy: Path) -> None:
    policy.write_text(GOOD + "  - {name: till, repository: acme/till}\n")
    task = CheckPolicyOperator(task_id="policy-files")
    with pytest.raises(AirflowFailException, match=r"policy.yaml: projects\[1\].image: project 'till': it is missing"):
        run(task)
    assert "projects[1].image" in task.table
    assert task.table.endswith("\n\nProjects: shop")


def test_a_policy_of_which_nothing_can_be_used_fails_the_task(policy: Path) -> None:
    policy.write_text("mode: plan")
    with pytest.raises(AirflowFailException, match=r"control_plane: it is missing"):
        run(CheckPolicyOperator(task_id="policy-files"))
