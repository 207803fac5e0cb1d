"""The sandbox's Airflows answer as Airflow's own description says: every route, with success and with refusals.

The `Stage` judges whatever its tests ask, in tests/sandbox/airflow too; here is the proof that all is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from include.deploy_ops.hooks.airflow.api import AirflowReader
from include.deploy_ops.hooks.airflow.run_answers import parse_log
from include.deploy_ops.hooks.conversation import Ask
from sandbox.airflow.api import list_endpoints
from sandbox.airflow.v1 import write_dag, write_error, write_log, write_run, write_task
from tests.contract.airflow import fields_of_v1
from tests.contract.airflow.judge import PREFIX, cut_path, find_operation
from tests.sandbox.airflow.stage import Stage
from tests.sandbox.conftest import start_sandbox

pytestmark = pytest.mark.long
RUNS = "/dags/smoke/dagRuns"
SMOKE = """
from airflow.sdk import Connection, Param, Variable, dag, task

@dag(schedule=None, tags=["smoke", "a"], params={"country": Param(type="string", minLength=2)})
def smoke():
    @task(pool="warehouse")
    def read() -> str:
        print("warehouse is", Connection.get("warehouse").host)
        return Variable.get("target_schema")

    @task
    def refuse(schema: str) -> None:
        raise ValueError(f"nothing in {schema}")

    refuse(read())

smoke()
"""
VARIABLES = {
    "AIRFLOW_CONN_WAREHOUSE": '{"conn_type": "postgres", "host": "warehouse.example"}',
    "AIRFLOW_VAR_TARGET_SCHEMA": "dev_x",
}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Give a Deployment with a smoke DAG and a broken file, after the whole tour."""
    with start_sandbox(tmp_path_factory.mktemp("airflow") / "data") as sandbox:
        stage = Stage(sandbox, VARIABLES)
        stage.deploy(smoke=SMOKE, broken="from airflow.sdk import dag\nimport nothing_of_that_name\n")
        walk_code(stage)
        walk_pools_and_runs(stage)
        yield stage


def walk_code(stage: Stage) -> None:
    stage.ask("GET", "/version")
    stage.ask("GET", "/monitor/health")
    stage.ask("GET", "/dags?exclude_stale=false&paused=true&limit=1&offset=0&order_by=-dag_id&tags=smoke&tags=b")
    stage.ask("GET", "/dags?limit=many", status=422)
    stage.ask("GET", "/dags/smoke")
    stage.ask("GET", "/dags/absent", status=404)
    stage.ask("PATCH", "/dags/smoke", status=422, json={"is_paused": "no"})
    (error,) = stage.ask("GET", "/importErrors?order_by=-timestamp&filename_pattern=broken")["import_errors"]
    stage.ask("GET", f"/importErrors/{error['import_error_id']}")
    stage.ask("GET", "/importErrors/9999", status=404)


def walk_pools_and_runs(stage: Stage) -> None:
    stage.ask("GET", "/pools?limit=10")
    new = {"logical_date": None, "dag_run_id": "deploy_ops__1", "conf": {"country": "DE"}}
    stage.ask("POST", RUNS, status=422, json={"dag_run_id": "x"})
    stage.ask("POST", RUNS, status=400, json={**new, "conf": {}})
    stage.ask("POST", "/dags/absent/dagRuns", status=404, json=new)
    assert stage.ask("POST", RUNS, json=new)["state"] == "queued"
    stage.ask("POST", RUNS, status=409, json=new)
    dated = {"logical_date": "2026-01-01T00:00:00Z", "conf": new["conf"]}
    stage.ask("POST", RUNS, json={**dated, "dag_run_id": "dated"})
    stage.ask("POST", RUNS, status=409, json={**dated, "dag_run_id": "dated_too"})
    assert stage.ask("PATCH", f"{RUNS}/dated", json={"state": "failed"})["state"] == "failed"
    stage.ask("PATCH", "/dags/smoke?update_mask=is_paused", json={"is_paused": False})
    assert stage.ask("GET", f"{RUNS}/deploy_ops__1")["state"] == "running"
    assert stage.ask("GET", f"{RUNS}/deploy_ops__1/taskInstances")["task_instances"] == []  # no pool, no task
    stage.ask("POST", "/pools", status=201, json={"name": "warehouse", "slots": 2})
    stage.ask("POST", "/pools", status=409, json={"name": "warehouse", "slots": 2})
    stage.ask("PATCH", "/pools/warehouse?update_mask=slots", status=422, json={"slots": 4})  # Airflow wants it whole
    whole = {"pool": "warehouse", "slots": 4, "description": "For the tests", "include_deferred": False}
    assert stage.ask("PATCH", "/pools/warehouse", json=whole)["open_slots"] == 4
    stage.ask("PATCH", "/pools/default_pool", status=400, json={**whole, "pool": "default_pool"})
    assert stage.ask("PATCH", "/pools/default_pool?update_mask=slots", json={"slots": 64})["slots"] == 64
    stage.ask("DELETE", "/pools/default_pool", status=400)
    stage.ask("GET", "/pools/warehouse")
    stage.ask("GET", "/pools/absent", status=404)
    stage.wait_run(f"{RUNS}/deploy_ops__1")
    stage.ask("DELETE", "/pools/warehouse", status=204)
    stage.ask("GET", "/dags/~/dagRuns?run_type=manual&run_type=asset_triggered&order_by=-start_date&limit=1")
    stage.ask("GET", f"{RUNS}/deploy_ops__1/taskInstances?state=failed")
    stage.ask("GET", f"{RUNS}/deploy_ops__1/taskInstances/read")
    stage.ask("GET", f"{RUNS}/deploy_ops__1/taskInstances/refuse/logs/1?map_index=-1&full_content=true")
    stage.ask("GET", f"{RUNS}/deploy_ops__1/taskInstances/absent/logs/1", status=404)
    stage.ask("GET", f"{RUNS}/deploy_ops__1/taskInstances/refuse/logs/2", status=404)
    stage.ask("PATCH", f"{RUNS}/deploy_ops__1", json={"note": "seen"})
    stage.ask("GET", f"{RUNS}/absent", status=404)


def test_every_route_was_asked_and_is_described(stage: Stage) -> None:
    asked = {find_place(each.request.method, cut_path(each.request)) for each in stage.answers if each.is_success}

    for method, path, _ in list_endpoints():
        example = re.sub(r"\{[^}]+\}", "1", f"{PREFIX}{path}")
        assert find_place(method, example) in asked, f"{method} {path} was not asked, or is none of Airflow's"


def find_place(method: str, path: str) -> tuple[str, str] | None:
    """Return the described operation that serves a request, by method and path."""
    found = find_operation(method, path)
    return found and (method, found[0])


def test_a_run_has_the_connections_variables_and_pools_of_its_deployment_and_tells_why_it_failed(stage: Stage) -> None:
    run = stage.ask("GET", f"{RUNS}/deploy_ops__1")
    tasks = stage.ask("GET", f"{RUNS}/deploy_ops__1/taskInstances?order_by=start_date")["task_instances"]
    logs = {
        each["task_id"]: stage.ask("GET", f"{RUNS}/deploy_ops__1/taskInstances/{each['task_id']}/logs/1")["content"]
        for each in tasks
    }

    assert (run["state"], run["conf"], run["note"]) == ("failed", {"country": "DE"}, "seen")
    assert [(each["task_id"], each["state"], each["pool"]) for each in tasks] == [
        ("read", "success", "warehouse"),
        ("refuse", "failed", "default_pool"),
    ]
    assert "warehouse is warehouse.example" in [line["event"] for line in logs["read"]]
    (failure,) = [line for line in logs["refuse"] if line.get("level") == "error"]
    assert [(each["exc_type"], each["exc_value"]) for each in failure["error_detail"]] == [
        ("ValueError", "nothing in dev_x")
    ]
    assert str(Path.cwd()) not in str(logs)


def test_airflow_2_is_told_in_the_fields_that_its_reference_names(stage: Stage) -> None:
    for fields, write, path, plural in (
        (fields_of_v1.DAG, write_dag, "/dags", "dags"),
        (fields_of_v1.IMPORT_ERROR, write_error, "/importErrors", "import_errors"),
        (fields_of_v1.RUN, write_run, RUNS, "dag_runs"),
        (fields_of_v1.TASK_INSTANCE, write_task, f"{RUNS}/deploy_ops__1/taskInstances", "task_instances"),
    ):
        documents = stage.ask("GET", path)[plural]
        assert documents
        for document in documents:
            assert fields_of_v1.list_field_problems(fields, write(document)) == []
    log = write_log(stage.ask("GET", f"{RUNS}/deploy_ops__1/taskInstances/refuse/logs/1"))
    assert fields_of_v1.list_field_problems(fields_of_v1.LOG, log) == []
    assert any("ValueError: nothing in dev_x" in line for line in parse_log(Ask("/log"), log).splitlines()[-5:])


def test_the_product_reads_it_with_a_token_of_the_deployment(stage: Stage) -> None:
    body = {"name": "x", "scope": "DEPLOYMENT", "role": "DEPLOYMENT_ADMIN", "entityId": stage.deployment["id"]}
    token = stage.call("POST", "/tokens", json=body)["token"]

    with AirflowReader(stage.deployment["webServerAirflowApiUrl"], token) as reader:
        facts, version = reader.read_facts(), reader.read_version()

    assert (version, [dag.dag_id for dag in facts.dags]) == ("3.3.2", ["smoke"])
    (dag,) = facts.dags
    assert (dag.file, dag.tags, dag.is_paused) == ("smoke.py", ("a", "smoke"), False)
    assert [fault.file for fault in facts.faults] == ["broken.py"]
    assert "nothing_of_that_name" in facts.faults[0].trace
    assert dag.parsed_at is not None
    assert dag.parsed_at <= facts.at + timedelta(seconds=1)
