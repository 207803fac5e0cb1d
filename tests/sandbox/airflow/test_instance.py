"""What an Airflow does with its children's reports: when it asks, what it keeps, which runs start, and what ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sandbox.airflow.children import ChildError, Children
from sandbox.airflow.instance import Airflow, Means
from sandbox.astro.records import Code, Deployment
from sandbox.settings import Settings

LONG_AGO = "2026-01-01T00:00:00Z"
RUN: dict[str, Any] = {"dag_run_id": "deploy_ops__1", "logical_date": None}


class Played(Children):
    """Children that report what they are told to, and note their orders."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.orders: list[dict[str, Any]] = []
        self.dags: list[dict[str, Any]] = []
        self.errors: list[dict[str, Any]] = []
        self.pools = ["default_pool"]
        self.run_state = "success"
        self.failure = ""
        self.gate = asyncio.Event()
        self.gate.set()
        self.begun = asyncio.Event()

    async def run(self, folder: Path, order: dict[str, Any]) -> None:
        self.orders.append(order)
        self.begun.set()
        await self.gate.wait()
        if order["mode"] == "migrate":
            (folder / "home" / "airflow.db").touch()
        elif self.failure:
            raise ChildError(self.failure)
        else:
            self.write(Path(order["report"]), json.dumps(self.report(order)))

    def write(self, report: Path, text: str) -> None:
        report.write_text(text)

    def report(self, order: dict[str, Any]) -> dict[str, Any]:
        if order["mode"] == "run":
            at = datetime.now(UTC).isoformat()
            kept = dict.fromkeys(("last_scheduling_decision", "data_interval_start", "data_interval_end"))
            return {"run": {**kept, "state": self.run_state, "dag_versions": [], "end_date": at}, "task_instances": []}
        needs = {dag["dag_id"]: {"pools": self.pools, "params": {}} for dag in self.dags}
        return {"dags": self.dags, "import_errors": self.errors, "versions": {}, "needs": needs}

    def count(self, mode: str) -> int:
        return sum(order["mode"] == mode for order in self.orders)


def make_dag(dag_id: str = "orders", **more: Any) -> dict[str, Any]:
    return {
        "dag_id": dag_id,
        "dag_display_name": dag_id,
        "is_paused": True,
        "is_stale": False,
        "last_parsed_time": LONG_AGO,
        "relative_fileloc": f"{dag_id}.py",
        "max_active_runs": 1,
        "next_dagrun_run_after": None,
        "next_dagrun_logical_date": None,
        **more,
    }


def play(tmp_path: Path, act: Callable[[Airflow, Played, Settings], Awaitable[None]]) -> None:
    """Have an Airflow, whose Deployment has the DAGs of the version "1", live through something."""

    async def live() -> None:
        settings = Settings(deploying_s=0, dag_processing_s=0, airflow_patience_s=20)
        children = Played(settings)
        children.dags = [make_dag()]
        deployment = Deployment({"isDagDeployEnabled": True, "astroRuntimeVersion": "3.3-2"})
        deployment.carry(Code(dag_version="1"))
        means = Means(children, settings, lambda *_: None, tmp_path / ".template.db")
        airflow = Airflow(deployment, tmp_path / "airflow", means)
        await act(airflow, children, settings)
        airflow.end()

    asyncio.run(live())


async def settle(airflow: Airflow) -> None:
    """Let what was started come to its end."""
    while tasks := [run.task for run in airflow.runs.values() if run.task is not None and not run.task.done()]:
        await asyncio.wait(tasks)


def test_the_same_code_is_parsed_once_and_other_code_or_variables_anew(tmp_path: Path) -> None:
    async def act(airflow: Airflow, children: Played, _: Settings) -> None:
        for _again in range(2):
            await airflow.catch_up()
        assert [order["mode"] for order in children.orders] == ["migrate", "parse"]
        airflow.deployment.variables = [{"key": "AIRFLOW_VAR_X", "value": "1", "isSecret": True}]
        await airflow.catch_up()
        airflow.deployment.carry(Code(dag_version="2"))
        await airflow.catch_up()
        assert children.count("parse") == 3
        assert children.orders[-1]["environment"]["AIRFLOW_VAR_X"] == "1"

    play(tmp_path, act)


def test_the_database_is_migrated_once_for_all(tmp_path: Path) -> None:
    (tmp_path / ".template.db").write_text("migrated")

    async def act(airflow: Airflow, children: Played, _: Settings) -> None:
        await airflow.catch_up()
        assert children.count("migrate") == 0
        assert (tmp_path / "airflow" / "home" / "airflow.db").read_text() == "migrated"

    play(tmp_path, act)


def test_while_new_code_is_parsed_the_old_answers_as_soon_as_patience_ends(tmp_path: Path) -> None:
    async def act(airflow: Airflow, children: Played, settings: Settings) -> None:
        await airflow.catch_up()
        children.dags = [make_dag("new")]
        children.gate.clear()
        settings.airflow_patience_s = 0.01
        airflow.deployment.carry(Code(dag_version="2"))
        await airflow.catch_up()
        (old,) = airflow.list_dags()
        assert old["dag_id"] == "orders"
        settings.parsed_again_s = 1e-6
        assert airflow.list_dags()[0]["last_parsed_time"] == airflow.list_dags()[0]["last_parsed_time"]  # it stands
        children.gate.set()
        settings.airflow_patience_s = 20
        await airflow.catch_up()
        assert [dag["dag_id"] for dag in airflow.list_dags()] == ["new"]
        assert children.count("parse") == 2

    play(tmp_path, act)


def test_questions_that_wait_for_the_parse_of_old_code_are_answered_by_the_new(tmp_path: Path) -> None:
    async def act(airflow: Airflow, children: Played, _: Settings) -> None:
        children.gate.clear()
        questions = [asyncio.create_task(airflow.catch_up()) for _again in range(3)]
        await children.begun.wait()
        children.gate.set()
        await asyncio.sleep(0)
        airflow.deployment.carry(Code(dag_version="2"))
        children.dags = [make_dag("new")]
        await asyncio.gather(*questions)
        assert [dag["dag_id"] for dag in airflow.list_dags()] == ["new"]
        assert children.count("parse") == 2

    play(tmp_path, act)


def test_a_parse_comes_as_late_as_it_is_set_to(tmp_path: Path) -> None:
    async def act(airflow: Airflow, children: Played, settings: Settings) -> None:
        settings.parsing_s = 3600
        await airflow.catch_up()
        assert (children.orders, airflow.list_dags()) == ([], [])
        settings.parsing_s = 0
        await airflow.catch_up()
        assert children.count("parse") == 1

    play(tmp_path, act)


def test_while_an_image_is_rolled_out_the_old_code_is_what_runs(tmp_path: Path) -> None:
    async def act(airflow: Airflow, children: Played, settings: Settings) -> None:
        await airflow.catch_up()
        settings.deploying_s = 3600
        airflow.deployment.carry(Code(image_tag="new", runtime_version="13.2.0", dag_version="1"))
        await airflow.catch_up()
        assert (children.count("parse"), airflow.runtime) == (1, "3.3-2")
        settings.deploying_s = 0
        await airflow.catch_up()
        assert (children.count("parse"), airflow.runtime) == (2, "13.2.0")

    play(tmp_path, act)


def test_files_are_parsed_again_and_again_as_far_as_anybody_can_see(tmp_path: Path) -> None:
    async def act(airflow: Airflow, children: Played, settings: Settings) -> None:
        children.dags = [make_dag(), make_dag("stale", is_stale=True)]
        children.errors = [{"filename": "x.py", "timestamp": LONG_AGO}]
        await airflow.catch_up()
        settings.parsed_again_s = 3600
        assert airflow.find_dag("orders")["last_parsed_time"] == "2026-01-01T00:00:00.000000Z"
        settings.parsed_again_s = 1e-6
        assert airflow.find_dag("orders")["last_parsed_time"] > "2026-01-01T00:00:00.000000Z"
        assert airflow.list_import_errors()[0]["timestamp"] > "2026-01-01T00:00:00.000000Z"
        assert airflow.find_dag("stale")["last_parsed_time"] == LONG_AGO
        assert children.count("parse") == 1

    play(tmp_path, act)


def test_a_parse_that_fails_leaves_what_was_known_and_is_not_tried_again(tmp_path: Path) -> None:
    async def act(airflow: Airflow, children: Played, _: Settings) -> None:
        await airflow.catch_up()
        children.failure = "it was ended after 1 s"
        airflow.deployment.carry(Code(dag_version="2"))
        for _again in range(2):
            await airflow.catch_up()
        assert (airflow.failure, children.count("parse")) == ("it was ended after 1 s", 2)
        assert [dag["dag_id"] for dag in airflow.list_dags()] == ["orders"]

    play(tmp_path, act)


def test_a_run_of_a_paused_dag_waits_until_it_is_unpaused_and_pausing_outlives_a_parse(tmp_path: Path) -> None:
    async def act(airflow: Airflow, children: Played, _: Settings) -> None:
        await airflow.catch_up()
        run = airflow.trigger("orders", RUN)
        assert (run.state, children.count("run")) == ("queued", 0)
        airflow.set_paused("orders", is_paused=False)
        await settle(airflow)
        assert (run.state, children.count("run"), len(airflow.runs)) == ("success", 1, 1)
        airflow.deployment.carry(Code(dag_version="2"))
        await airflow.catch_up()
        assert airflow.find_dag("orders")["is_paused"] is False

    play(tmp_path, act)


def test_unpausing_starts_what_is_due_by_the_schedule_once(tmp_path: Path) -> None:
    async def act(airflow: Airflow, children: Played, _: Settings) -> None:
        children.dags = [make_dag(next_dagrun_run_after=LONG_AGO, next_dagrun_logical_date=LONG_AGO)]
        await airflow.catch_up()
        for is_paused in (False, True, False):
            airflow.set_paused("orders", is_paused=is_paused)
        await settle(airflow)
        ((_dag_id, run_id),) = airflow.runs
        assert (run_id, children.count("run")) == (f"scheduled__{LONG_AGO}", 1)
        assert airflow.runs["orders", run_id].document["run_type"] == "scheduled"

    play(tmp_path, act)


def test_not_more_runs_of_a_dag_than_it_may_have_go_on_at_once(tmp_path: Path) -> None:
    async def act(airflow: Airflow, children: Played, _: Settings) -> None:
        children.dags = [make_dag(is_paused=False)]
        await airflow.catch_up()
        children.gate.clear()
        first, second = (airflow.trigger("orders", {"dag_run_id": name}) for name in ("a", "b"))
        assert (first.state, second.state) == ("running", "queued")
        children.gate.set()
        await settle(airflow)
        assert (first.state, second.state, children.count("run")) == ("success", "success", 2)

    play(tmp_path, act)


def test_a_run_waits_for_a_pool_that_is_not_there(tmp_path: Path) -> None:
    async def act(airflow: Airflow, children: Played, _: Settings) -> None:
        children.dags, children.pools = [make_dag(is_paused=False)], ["warehouse"]
        await airflow.catch_up()
        run = airflow.trigger("orders", RUN)
        assert (run.state, children.count("run")) == ("running", 0)
        pool = {"name": "warehouse", "slots": 2, "description": None, "include_deferred": False}
        airflow.put_pool(pool)
        await settle(airflow)
        assert (run.state, children.orders[-1]["pools"][-1]) == ("success", pool)

    play(tmp_path, act)


@pytest.mark.parametrize("state", ["failed", "success"])
def test_a_run_whose_state_is_set_is_over_and_its_child_too(tmp_path: Path, state: str) -> None:
    async def act(airflow: Airflow, children: Played, _: Settings) -> None:
        children.dags = [make_dag(is_paused=False)]
        await airflow.catch_up()
        children.gate.clear()
        children.begun.clear()
        run = airflow.trigger("orders", RUN)
        assert run.task is not None
        task = run.task
        await children.begun.wait()
        airflow.set_state(run, state)
        await asyncio.wait({task})
        assert task.cancelled()
        assert (run.state, run.document["end_date"] is not None) == (state, True)
        children.gate.set()
        airflow.set_state(run, "queued")
        await settle(airflow)
        assert (run.state, children.count("run")) == ("success", 2)

    play(tmp_path, act)


def test_a_run_whose_child_fails_is_failed(tmp_path: Path) -> None:
    async def act(airflow: Airflow, children: Played, _: Settings) -> None:
        children.dags = [make_dag(is_paused=False)]
        await airflow.catch_up()
        children.failure = "exit code -9"
        run = airflow.trigger("orders", RUN)
        await settle(airflow)
        assert run.state == "failed"

    play(tmp_path, act)


def test_a_report_that_is_none_is_a_failure_and_no_error(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.json").write_text('{"dags": []}')

    class Sly(Played):
        def write(self, report: Path, text: str) -> None:
            report.symlink_to(tmp_path / "elsewhere.json")

    async def live() -> None:
        settings = Settings(deploying_s=0, dag_processing_s=0)
        deployment = Deployment({"isDagDeployEnabled": True, "astroRuntimeVersion": "3.3-2"})
        deployment.carry(Code(dag_version="1"))
        means = Means(Sly(settings), settings, lambda *_: None, tmp_path / ".template.db")
        airflow = Airflow(deployment, tmp_path / "airflow", means)
        await airflow.catch_up()
        assert airflow.failure == "parsed.json cannot be read: Too many levels of symbolic links"

    asyncio.run(live())
