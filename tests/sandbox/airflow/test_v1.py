"""A Deployment whose runtime has Airflow 2 answers in API v1, and in no other."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.routing import Mount

from include.deploy_ops.hooks.airflow.run_answers import parse_log
from include.deploy_ops.hooks.conversation import Ask
from sandbox.airflow import Airflows
from sandbox.airflow.v1 import write_log
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
        ("GET", "/v1/dags/~/dagRuns?order_by=-start_date&limit=1", None),
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


ONE = {"dag_run_id": "r1", "conf": {}}
WHOLE = {"name": "warehouse", "slots": 4, "description": "x"}
RUN = "/v1/dags/orders/dagRuns/r1"
WALK: tuple[tuple[str, str, Any, int], ...] = (
    ("GET", "/v1/dags/orders", None, 200),
    ("GET", "/v1/dags/absent", None, 404),
    ("PATCH", "/v1/dags/orders?update_mask=is_paused", {"is_paused": False}, 200),
    ("PATCH", "/v1/dags/orders", {"is_paused": "no"}, 400),
    ("POST", "/v1/dags/orders/dagRuns", ONE, 200),
    ("POST", "/v1/dags/orders/dagRuns", ONE, 409),
    ("POST", "/v1/dags/absent/dagRuns", ONE, 404),
    ("GET", "/v1/dags/orders/dagRuns?state=running&limit=1", None, 200),
    ("GET", "/v1/dags/orders/dagRuns?run_type=manual", None, 400),
    ("GET", RUN, None, 200),
    ("GET", f"{RUN}x", None, 404),
    ("GET", f"{RUN}/taskInstances?state=failed&limit=100", None, 200),
    ("GET", f"{RUN}/taskInstances/absent/logs/1?full_content=true&map_index=-1", None, 404),
    ("PATCH", RUN, {"state": "failed"}, 200),
    ("PATCH", RUN, {"state": "unheard"}, 400),
    ("POST", "/v1/pools", {"name": "warehouse"}, 400),
    ("POST", "/v1/pools", {"name": "warehouse", "slots": 2}, 200),
    ("POST", "/v1/pools", {"name": "warehouse", "slots": 2}, 409),
    ("GET", "/v1/pools?limit=100&offset=0", None, 200),
    ("PATCH", "/v1/pools/warehouse", WHOLE, 200),
    ("PATCH", "/v1/pools/warehouse", {"name": "warehouse"}, 400),
    ("PATCH", "/v1/pools/absent", {**WHOLE, "name": "absent"}, 404),
    ("DELETE", "/v1/pools/default_pool", None, 400),
    ("DELETE", "/v1/pools/warehouse", None, 204),
    ("GET", "/v1/pools/warehouse", None, 404),
)


def test_runs_logs_and_pools_are_answered_as_the_table_says(tmp_path: Path) -> None:
    answers = ask(tmp_path, *(each[:3] for each in WALK))
    for answer, (method, path, _, status) in zip(answers, WALK, strict=True):
        assert answer.status_code == status, f"{method} {path}: {answer.text}"
        assert fields_of_v1.list_answer_problems(answer) == [], f"{method} {path}"
    patched = answers[[each[:2] for each in WALK].index(("PATCH", "/v1/pools/warehouse"))]
    assert (patched.json()["slots"], patched.json()["description"]) == (4, "x")


def test_a_log_is_a_text_that_the_product_reads_by_lines() -> None:
    lines = ["it's", 'say "x"', "C:\\new\ttab", "the end"]
    written = write_log({"content": [{"event": line} for line in lines]})
    assert fields_of_v1.list_field_problems(fields_of_v1.LOG, written) == []
    assert parse_log(Ask("/log"), written).splitlines()[1:] == lines[1:]
    assert parse_log(Ask("/log"), {"content": "plain\\n text"}) == "plain\\n text"
