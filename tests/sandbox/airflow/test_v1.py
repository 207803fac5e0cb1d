"""A Deployment whose runtime has Airflow 2 answers in API v1, and in no other."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.routing import Mount

from sandbox.airflow import Airflows
from sandbox.astro import Astro
from sandbox.astro.records import Code, Deploy, Deployment
from sandbox.settings import Settings
from tests.contract.airflow import fields_of_v1
from tests.sandbox.airflow.stage import AUTH
from tests.sandbox.airflow.test_instance import LONG_AGO, Played, make_dag
from tests.sandbox.astro.calls import pack
from tests.sandbox.astro.world import ImageShelf

DAG: dict[str, Any] = {
    **dict.fromkeys(
        ("description", "last_expired", "next_dagrun_data_interval_end", "next_dagrun_data_interval_start")
    ),
    "file_token": "x",
    "fileloc": "/usr/local/airflow/dags/orders.py",
    "has_import_errors": False,
    "has_task_concurrency_limits": False,
    "owners": ["ann"],
    "max_active_tasks": 16,
    "max_consecutive_failed_dag_runs": 0,
    "timetable_description": "At 06:00",
    "timetable_summary": "0 6 * * *",
    "tags": [{"name": "shop", "dag_id": "orders"}],
    "allowed_run_types": None,
    "bundle_name": "dags-folder",
}
ERROR = {"import_error_id": 1, "timestamp": LONG_AGO, "filename": "x.py", "bundle_name": "dags", "stack_trace": "no"}


def ask(tmp_path: Path, *requests: tuple[str, str, Any]) -> list[httpx.Response]:
    """Ask the Airflow of a Deployment that has one DAG, one error, and the runtime 13.2.0."""
    settings = Settings(creating_s=0, deploying_s=0, dag_processing_s=0)
    children = Played(settings)
    children.dags, children.errors = [make_dag(**DAG)], [ERROR]
    astro = Astro(tmp_path, settings, "http://sandbox", ImageShelf())
    airflows = Airflows(tmp_path, settings, astro, children)
    deployment = Deployment({"isDagDeployEnabled": True, "astroRuntimeVersion": "3.3-2", "name": "dev-x"})
    deploy = Deploy(deployment.id, "DAG_ONLY", "", None, "tag", is_dag_deploy_enabled=True, dag_version="1")
    astro.adopt(deployment, deploy, "1", pack(("dags/orders.py", "")))
    deployment.carry(Code(runtime_version="13.2.0", dag_version="1"))
    transport = httpx.ASGITransport(Starlette(routes=[Mount("/astro", routes=airflows.routes())]))

    async def send() -> list[httpx.Response]:
        base = f"http://sandbox/astro/airflow/{deployment.id[-8:]}/api"
        async with httpx.AsyncClient(transport=transport, headers=AUTH) as client:
            answers = [await client.request(method, base + path, json=body) for method, path, body in requests]
        airflows.end()
        return answers

    return asyncio.run(send())


def test_it_answers_as_airflow_2(tmp_path: Path) -> None:
    version, health, dags, errors, pool = ask(
        tmp_path,
        ("GET", "/v1/version", None),
        ("GET", "/v1/health", None),
        ("GET", "/v1/dags?only_active=true&limit=1&order_by=dag_id", None),
        ("GET", "/v1/importErrors", None),
        ("POST", "/v1/pools", {"name": "warehouse", "slots": 2}),
    )

    assert version.json() == {"version": "2.11.0", "git_version": None}
    assert health.json()["scheduler"]["status"] == "healthy"
    (dag,) = dags.json()["dags"]
    assert fields_of_v1.list_field_problems(fields_of_v1.DAG, dag) == []
    assert (dag["is_active"], dag["schedule_interval"]["value"], dag["tags"]) == (True, "0 6 * * *", [{"name": "shop"}])
    (error,) = errors.json()["import_errors"]
    assert fields_of_v1.list_field_problems(fields_of_v1.IMPORT_ERROR, error) == []
    assert error["filename"] == "/usr/local/airflow/dags/x.py"
    assert (pool.status_code, fields_of_v1.list_field_problems(fields_of_v1.POOL, pool.json())) == (200, [])


def test_a_run_needs_no_logical_date_and_has_one(tmp_path: Path) -> None:
    made, again, found = ask(
        tmp_path,
        ("POST", "/v1/dags/orders/dagRuns", {"dag_run_id": "deploy_ops__1", "conf": {"a": 1}}),
        ("POST", "/v1/dags/orders/dagRuns", {"dag_run_id": "deploy_ops__1"}),
        ("GET", "/v1/dags/~/dagRuns?run_type=manual&order_by=-start_date&limit=1", None),
    )

    assert (made.status_code, found.json()["dag_runs"]) == (200, [made.json()])
    assert fields_of_v1.list_field_problems(fields_of_v1.RUN, made.json()) == []
    assert made.json()["execution_date"] == made.json()["logical_date"]
    assert (again.status_code, again.json()["title"], again.headers["content-type"]) == (
        409,
        "Conflict",
        "application/problem+json",
    )


def test_v2_is_not_there(tmp_path: Path) -> None:
    for answer in ask(tmp_path, ("GET", "/v2/dags", None), ("GET", "/v1/nothing", None)):
        assert (answer.status_code, answer.json()["title"]) == (404, "Not Found")
