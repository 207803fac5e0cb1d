"""What we have a Deployment's Airflow do is described by Airflow itself, and so is all that we read of the answers."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from include.deploy_ops.core.environment.pools import MARK, Pool
from include.deploy_ops.core.verification.smoke import FailedTask
from include.deploy_ops.hooks.airflow import pools, run_answers
from include.deploy_ops.hooks.airflow.answers import Json
from include.deploy_ops.hooks.airflow.runs import AsyncAirflowRunner
from tests.contract.airflow.judge import list_request_problems, load_description
from tests.worlds.doubles.deployment_airflow import TOKEN, say
from tests.worlds.doubles.hostile_server import Asked, HostileServer
from tests.worlds.doubles.runs_of_dags import RunsOfDags


async def do_all(host: str) -> None:
    async with AsyncAirflowRunner(f"{host}/api/v2", TOKEN) as runner:
        assert await runner.read_start("smoke_a") is not None
        assert await runner.read_run("smoke_a", "r1") is None
        await runner.set_paused("smoke_a", is_paused=False)
        await runner.start("smoke_a", "r1", {"n": 1})
        await runner.end("smoke_a", "r1")
        await runner.list_failed_tasks("smoke_a", "r1")
        await runner.read_log("smoke_a", "r1", FailedTask("load", 3, 2))
        await runner.lay_pools([Pool("warehouse", 2, "x"), Pool("other", 1)])


def test_each_request_is_described() -> None:
    airflow = RunsOfDags()
    airflow.add("smoke_a")
    listed = [{"name": "other", "slots": 9, "description": MARK}, {"name": "gone", "slots": 9, "description": MARK}]

    def answer(asked: Asked) -> list[bytes] | None:
        return say({"pools": listed, "total_entries": 2}) if "/pools" in asked.path else None

    airflow.spoil = answer
    with HostileServer(airflow) as server:
        asyncio.run(do_all(server.host))
    done = [(each.method, each.path.partition("?")[0]) for each in server.asked]
    assert {("DELETE", "/api/v2/pools/gone"), ("PATCH", "/api/v2/pools/other"), ("POST", "/api/v2/pools")} <= set(done)
    assert len(done) >= 13
    for each in server.asked:
        request = httpx.Request(each.method, f"http://there{each.path}", headers=each.headers, content=each.body)
        assert list_request_problems(request) == [], request


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
