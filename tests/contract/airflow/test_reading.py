"""What we ask of a Deployment's Airflow is described, and whatever the description permits in an answer is read.

Of version 2 by Airflow's own description. Airflow 2 is not installed, so what its description says of the little that
we ask is restated here.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from include.deploy_ops.core.cleanup.use import RunFacts
from include.deploy_ops.core.verification.facts import AirflowFacts
from include.deploy_ops.hooks.airflow import answers
from include.deploy_ops.hooks.airflow.api import AirflowReader
from tests.contract.airflow.judge import find_operation, list_request_problems, list_schema_problems, load_description
from tests.worlds.doubles.deployment_airflow import (
    TOKEN,
    make_dag,
    make_fault,
    make_old_dag,
    make_run,
    serve,
    serve_runs,
)
from tests.worlds.doubles.hostile_server import Asked, HostileServer

STARTED = datetime(2026, 11, 29, 12, tzinfo=UTC)


def read(dags: list[Any], faults: list[Any], version: int = 2) -> tuple[AirflowFacts, list[Asked]]:
    """Return what is read, and all that was asked for it."""
    with HostileServer(serve(dags, faults, base=f"/api/v{version}")) as server:
        with AirflowReader(f"{server.host}/api/v{version}", TOKEN) as reader:
            facts = reader.read_facts()
            assert reader.read_version() == "3.3.2"
        return facts, server.asked


def describe(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = load_description()["components"]["schemas"][name]
    return schema


def list_nullable(name: str) -> list[str]:
    properties = describe(name)["properties"]
    return [field for field, schema in properties.items() if {"type": "null"} in schema.get("anyOf", ())]


# --- Version 2: Airflow's own words -----------------------------------------------------------------------------------


def test_what_is_asked_is_described() -> None:
    dags = [make_dag(f"d{number}") for number in range(150)]
    _, asked = read(dags, [make_fault(number) for number in range(130)])
    for each in asked:
        request = httpx.Request(each.method, f"http://there{each.path}", content=each.body)
        assert list_request_problems(request) == []
    assert len(asked) == 5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DAGCollectionResponse", {"dags": [make_dag()], "total_entries": 1}),
        ("ImportErrorCollectionResponse", {"import_errors": [make_fault()], "total_entries": 1}),
        ("VersionInfo", {"version": "3.3.2", "git_version": None}),
    ],
)
def test_what_our_tests_let_airflow_answer_is_what_it_may(name: str, value: dict[str, Any]) -> None:
    assert list(list_schema_problems({"$ref": f"#/components/schemas/{name}"}, value)) == []


@pytest.mark.parametrize("path", ["/api/v2/dags", "/api/v2/importErrors"])
def test_a_list_has_no_more_items_than_are_asked_for_and_refusals_are_described(path: str) -> None:
    found = find_operation("GET", path)
    assert found is not None
    assert {"200", "401", "403"} <= found[1]["responses"].keys()


@pytest.mark.parametrize("field", list_nullable("DAGResponse"))
def test_a_dag_is_read_whatever_is_null(field: str) -> None:
    facts, _ = read([make_dag(**{field: None})], [])
    assert facts.dags[0].dag_id == "orders"
    assert facts.dags[0].file == "sub/orders.py"


@pytest.mark.parametrize("field", list_nullable("ImportErrorResponse"))
def test_a_fault_is_read_whatever_is_null(field: str) -> None:
    facts, _ = read([], [make_fault(**{field: None})])
    assert facts.faults[0].file == "broken1.py"


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (answers._Dag, "DAGResponse"),
        (answers._Tag, "DagTagResponse"),
        (answers._Fault, "ImportErrorResponse"),
        (answers._Run, "DAGRunResponse"),
        (answers._Version, "VersionInfo"),
        (answers._Listed, "DAGCollectionResponse"),
        (answers._Listed, "ImportErrorCollectionResponse"),
    ],
)
def test_what_must_be_there_is_there(model: type[answers.Json], name: str) -> None:
    schema = describe(name)
    needed = {field for field, info in model.model_fields.items() if info.is_required()}
    assert needed <= set(schema["required"])
    assert model.model_fields.keys() <= schema["properties"].keys()


def read_runs(*runs: Any, base: str = "/api/v2") -> tuple[RunFacts, list[Asked]]:
    with HostileServer(serve_runs(runs, base=base)) as server:
        with AirflowReader(f"{server.host}{base}", TOKEN) as reader:
            facts = reader.read_work(STARTED - timedelta(days=3))
        return facts, server.asked


def test_what_is_asked_of_runs_is_described_and_so_is_what_our_tests_answer() -> None:
    _, asked = read_runs(*(make_run(STARTED, dag_run_id=f"deploy-ops~{number}") for number in range(150)))
    assert len(asked) == 3
    for each in asked:
        request = httpx.Request(each.method, f"http://there{each.path}", content=each.body)
        assert list_request_problems(request) == []
    page = {"dag_runs": [make_run(STARTED)], "total_entries": 1}
    assert list(list_schema_problems({"$ref": "#/components/schemas/DAGRunCollectionResponse"}, page)) == []


@pytest.mark.parametrize("field", list_nullable("DAGRunResponse"))
def test_a_run_is_read_whatever_is_null(field: str) -> None:
    assert read_runs(make_run(STARTED, **{field: None}))[0].started_at == (STARTED,)


# --- Version 1: Airflow 2's description, restated ---------------------------------------------------------------------

TEXT, FLAG, TIME = ("text",), (True, False), ("2026-11-30T00:10:20.615667+00:00", "2026-11-30T00:10:20Z")
OLD_QUERY = {
    "/api/v1/dags": {"limit", "offset", "order_by", "tags", "only_active", "paused", "fields", "dag_id_pattern"},
    "/api/v1/importErrors": {"limit", "offset", "order_by"},
    "/api/v1/dags/~/dagRuns": {"limit", "offset", "order_by", "state"},
}
OLD_DAG: dict[str, tuple[Any, ...]] = {
    "dag_id": TEXT,
    "is_paused": (*FLAG, None),
    "is_active": (*FLAG, None),
    "last_parsed_time": (*TIME, None),
    "fileloc": ("/usr/local/airflow/dags/x.py", "/elsewhere/x.py"),
    "owners": ([], ["ann", "bob"]),
    "schedule_interval": (
        {"__type": "CronExpression", "value": "@daily"},
        {"__type": "TimeDelta", "days": 1, "seconds": 2, "microseconds": 3},
        {"__type": "RelativeDelta", "years": 0, "months": 1, "day": None},
        None,
    ),
    "timetable_description": ("At 00:00", "Never, external triggers only", None),
    "tags": ([], [{"name": "a"}], None),
}
"""What a field may be; of the others we read none."""


@pytest.mark.parametrize("changes", [{field: value} for field in OLD_DAG for value in OLD_DAG[field]], ids=str)
def test_a_dag_of_airflow_2_is_read_whatever_it_may_be(changes: dict[str, Any]) -> None:
    facts, asked = read([make_old_dag(**changes)], [make_fault()], version=1)
    assert len(facts.dags) == len(facts.faults) == 1
    for each in asked[:2]:
        url = httpx.URL(f"http://there{each.path}")
        assert set(url.params) <= OLD_QUERY[url.path]


def test_all_that_is_read_of_airflow_2_is_in_the_table() -> None:
    assert answers._OldDag.model_fields.keys() == OLD_DAG.keys()


OLD_RUN_TYPES = ("backfill", "manual", "scheduled", "dataset_triggered")
OLD_RUN_FIELDS = ("dag_run_id", "dag_id", "run_type", "state", "start_date")
"""What a run of Airflow 2 has, of what we read; it tells neither when it was queued nor what triggered it."""


@pytest.mark.parametrize("run_type", OLD_RUN_TYPES)
@pytest.mark.parametrize("start_date", [*TIME, None])
def test_a_run_of_airflow_2_is_read_whatever_it_may_be(run_type: str, start_date: str | None) -> None:
    made = make_run(STARTED, run_type=run_type, start_date=start_date)
    facts, asked = read_runs({field: made[field] for field in OLD_RUN_FIELDS}, base="/api/v1")
    assert len(facts.started_at) == (run_type == "manual" and start_date is not None)
    for each in asked:
        url = httpx.URL(f"http://there{each.path}")
        assert set(url.params) <= OLD_QUERY[url.path]
