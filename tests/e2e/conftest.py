"""One stack for all end-to-end tests: sandbox and Airflow on free ports, ended with them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from demo.ports import Ports, find_free_ports
from demo.stack import ROOT, Stack
from demo.witness import CONTROL_DAG, PREVIEW_DAG, Witness, make_witness

SOON = {
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
}
"""Airflow notices what died within these seconds, instead of within 30 to 300."""


@pytest.fixture(scope="package")
def witness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Witness]:
    """Return a person in front of a running stack, which all tests of the folder share."""
    home: Path = tmp_path_factory.mktemp("stack")
    policy = yaml.safe_load((ROOT / "include/deploy_ops.yaml").read_text(encoding="utf-8"))
    policy["projects"][0]["limits"] = {"max_deletes": 50, "max_delete_fraction": 1.0}  # the tests delete a lot
    with Stack(Ports(*find_free_ports(4)), home / "airflow", print, yaml.safe_dump(policy), SOON) as stack:
        for dag_id in (PREVIEW_DAG, CONTROL_DAG):
            stack.unpause(dag_id)
        person = make_witness(stack)
        person.await_watch()
        yield person
    shutil.rmtree(home)


@pytest.fixture(autouse=True)
def fresh_sandbox(witness: Witness) -> Iterator[None]:
    """Count requests from the test's beginning; no fault outlives it."""
    witness.stack.sandbox.delete("/sandbox/requests").raise_for_status()
    yield
    witness.stack.sandbox.delete("/sandbox/faults").raise_for_status()
