"""The fixtures: every release of the samples, the DAG files as they are now, parsed under its policy, and a stage."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.bases.operator import ExecutorSafeguard

from include.deploy_ops.core.policy.file import POLICY_VARIABLE
from tests.compatibility.samples import RELEASES, Release
from tests.worlds.stages.fixtures import author, shared_sandbox, stage

__all__ = ["author", "dags", "release", "shared_sandbox", "stage"]

DAGS = Path(__file__).parents[2] / "dags"
CONNECTION = {"conn_type": "github", "host": "http://127.0.0.1:8900/github/api/v3", "password": "none"}


@pytest.fixture(scope="session", params=RELEASES, ids=str)
def release(request: pytest.FixtureRequest) -> Release:
    """Give every release; a test that is parametrised by `each_sample` gets that of its sample."""
    found: Release = request.param
    return found


@cache
def parse_dags(release: Release) -> DagBag:
    """Parse the DAG files once for each release's policy."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv(POLICY_VARIABLE, str(release.policy))
        bag = DagBag(DAGS)
    assert bag.import_errors == {}
    return bag


@pytest.fixture
def dags(release: Release, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Any]:
    """Give the DAGs by their ids; their tasks may run outside Airflow's task runner."""
    bag = parse_dags(release)
    monkeypatch.setenv(POLICY_VARIABLE, str(release.policy))
    monkeypatch.setenv("AIRFLOW_CONN_GITHUB_DEFAULT", json.dumps(CONNECTION))
    monkeypatch.setattr(ExecutorSafeguard, "test_mode", True)
    return bag.dags
