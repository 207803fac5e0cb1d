"""What we have a Deployment's Airflow do is described by Airflow itself, and so is all that we read of the answers."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from include.deploy_ops.core.environment.pools import MARK, Pool
from include.deploy_ops.core.verification.smoke import FailedTask
from include.deploy_ops.hooks.airflow import pools, run_answers
from include.deploy_ops.hooks.airflow.answers import Json, read_model
from include.deploy_ops.hooks.airflow.runs import AsyncAirflowRunner
from include.deploy_ops.hooks.conversation import Ask
from tests.contract.airflow import fields_of_v1
from tests.contract.airflow.judge import list_request_problems, load_description
from tests.worlds.doubles.deployment_airflow import TOKEN, make_old_dag, say
from tests.worlds.doubles.hostile_server import Asked, HostileServer
from tests.worlds.doubles.runs_of_dags import RunsOfDags


async def do_all(host: str, version: int = 2) -> None:
    async with AsyncAirflowRunner(f"{host}/api/v{version}", TOKEN) as runner:
        assert await runner.read_start("smoke_a") is not None
        assert await runner.read_run("smoke_a", "r1") is None
        await runner.set_paused("smoke_a", is_paused=False)
        await runner.start("smoke_a", "r1", {"n": 1})
        await runner.end("smoke_a", "r1")
        await runner.list_failed_tasks("smoke_a", "r1")
        await runner.read_log("smoke_a", "r1", FailedTask("load", 3, 2))
        await runner.lay_pools([Pool("warehouse", 2, "x"), Pool("other", 1)])


@pytest.mark.parametrize("version", [1, 2])
def test_each_request_is_described(version: int) -> None:
    airflow = RunsOfDags()
    airflow.add("smoke_a")
    if version == 1:
        airflow.dags["smoke_a"] = make_old_dag("smoke_a", max_active_runs=16)
    listed = [{"name": "other", "slots": 9, "description": MARK}, {"name": "gone", "slots": 9, "description": MARK}]

    def answer(asked: Asked) -> list[bytes] | None:
        return say({"pools": listed, "total_entries": 2}) if "/pools" in asked.path else None

    airflow.spoil = answer
    with HostileServer(airflow) as server:
        asyncio.run(do_all(server.host, version))
    done = [(each.method, each.path.partition("?")[0].partition(f"/v{version}")[2]) for each in server.asked]
    assert {("DELETE", "/pools/gone"), ("PATCH", "/pools/other"), ("POST", "/pools")} <= set(done)
    assert len(done) >= 13
    judge = list_request_problems if version > 1 else fields_of_v1.list_request_problems
    for each in server.asked:
        request = httpx.Request(each.method, f"http://there{each.path}", headers=each.headers, content=each.body)
        assert judge(request) == [], request


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (run_answers._Dag, "DAGResponse"),
        (run_answers._Run, "DAGRunResponse"),
        (run_answers._Task, "TaskInstanceResponse"),
        (pools._Pool, "PoolResponse"),
    ],
)
def test_what_must_be_there_is_there(model: type[Json], name: str) -> None:
    schema: dict[str, Any] = load_description()["components"]["schemas"][name]
    needed = {field for field, info in model.model_fields.items() if info.is_required()}
    assert needed <= set(schema["required"])
    assert model.model_fields.keys() <= schema["properties"].keys()


EXAMPLES = {str: "2026-11-30T00:10:20+00:00", int: 1, float: 1.5, bool: True, list: [], dict: {}, type(None): None}


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (run_answers._OldDag, fields_of_v1.DAG),
        (run_answers._Run, fields_of_v1.RUN),
        (run_answers._Task, fields_of_v1.TASK_INSTANCE),
        (pools._Pool, fields_of_v1.POOL),
    ],
)
def test_what_airflow_2_may_answer_is_read(model: type[Json], fields: fields_of_v1.Fields) -> None:
    assert model.model_fields.keys() <= fields.keys()
    whole = {name: EXAMPLES[types[0]] for name, types in fields.items()}
    for name, types in fields.items():
        for each in types:
            read_model(Ask("/x"), model, {**whole, name: EXAMPLES[each]})
