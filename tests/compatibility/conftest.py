"""The fixture `dags`: the DAG files as they are now, parsed under the policy that was in force for the samples."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.bases.operator import ExecutorSafeguard

from include.deploy_ops.run.scope import POLICY_VARIABLE
from tests.compatibility.samples import POLICY

DAGS = Path(__file__).parents[2] / "dags"
CONNECTION = {"conn_type": "github", "host": "http://127.0.0.1:8900/github/api/v3", "password": "none"}


@pytest.fixture(scope="session")
def parsed() -> DagBag:
    """Parse the DAG files once."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv(POLICY_VARIABLE, str(POLICY))
        bag = DagBag(DAGS)
    assert bag.import_errors == {}
    return bag


@pytest.fixture
def dags(parsed: DagBag, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Any]:
    """Give the DAGs by their ids; their tasks may run outside Airflow's task runner."""
    monkeypatch.setenv(POLICY_VARIABLE, str(POLICY))
    monkeypatch.setenv("AIRFLOW_CONN_GITHUB_DEFAULT", json.dumps(CONNECTION))
    monkeypatch.setattr(ExecutorSafeguard, "test_mode", True)
    return parsed.dags
