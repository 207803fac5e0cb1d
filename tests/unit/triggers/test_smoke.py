"""The trigger of smoke runs: each DAG is run once, whatever dies, and what was unpaused is paused again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import pytest
from airflow.sdk._shared.secrets_masker import reset_secrets_masker

from include.deploy_ops.core.errors import ReadRefusedError
from include.deploy_ops.hooks import patience
from include.deploy_ops.hooks.airflow import http as airflow_http
from include.deploy_ops.hooks.airflow.runs import AsyncAirflowRunner
from include.deploy_ops.triggers import heads, smoke
from include.deploy_ops.triggers.masks import OLDER
from include.deploy_ops.triggers.smoke import SmokeRunsTrigger
from tests.unit.triggers.test_verified import give
from tests.worlds.doubles.astro import AstroDouble, make_deploy, serve_list
from tests.worlds.doubles.deployment_airflow import TOKEN, say
from tests.worlds.doubles.hostile_server import Asked, HostileServer
from tests.worlds.doubles.runs_of_dags import RunsOfDags

RUN = "deploy-ops~smoke~cldeploy~1"


class Access:
    """Opens the Airflow of the test in the place of a Deployment's."""

    host = ""
    error: Exception | None = None

    def __init__(self, *_: object) -> None:
        pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def open_runner(self) -> AsyncAirflowRunner:
        if Access.error is not None:
            raise Access.error
        return AsyncAirflowRunner(f"{Access.host}/api/v2", TOKEN)


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunsOfDags]:
    monkeypatch.setattr(smoke, "AsyncAirflowAccess", Access)
    monkeypatch.setattr(smoke, "FIRST_EVENT_S", 0.0)
    monkeypatch.setattr(smoke, "LONGEST_PAUSE_S", 0.02)
    monkeypatch.setattr(smoke, "LONGEST_BACKOFF_S", 0.02)
    monkeypatch.setattr(patience, "FIRST_RETRY_S", 0.001)
    monkeypatch.setattr(airflow_http, "REQUESTS_PER_S_MAX", 1000)
    monkeypatch.setattr(Access, "error", None)
    played = RunsOfDags()
    with HostileServer(played) as server:
        monkeypatch.setattr(Access, "host", server.host)
        yield played
    reset_secrets_masker()


def make_trigger(*dag_ids: str, seconds: float = 20, unpauses: bool = True, **changes: Any) -> SmokeRunsTrigger:
    now = datetime.now(UTC)
    start = {"run_id": RUN, "conf": {"day": "today"}, "may_unpause": unpauses}
    arguments: dict[str, Any] = {
        "astro_conn_id": "astro_default",
        "deployment_id": "cldep1",
        "airflow_conn_id": "preview_airflow",
        "starts": [{"dag_id": each, **start} for each in dag_ids],
        "unpaused": list(dag_ids) if unpauses else [],
        "started_at": now.isoformat(),
        "deadline": (now + timedelta(seconds=seconds)).isoformat(),
        "has_logs": True,
        "heads": {},
        "github_conn_id": "github_default",
        "repository": "acme/shop",
        "poll_interval_s": 0.01,
    }
    return SmokeRunsTrigger(**arguments | changes)


def play(trigger: SmokeRunsTrigger) -> dict[str, Any]:
    """Return the event's payload."""

    async def take() -> Any:
        return await anext(trigger.run())

    event = asyncio.run(asyncio.wait_for(take(), 20))
    assert repr(event) == "TriggerEvent<{not shown}>"  # Airflow logs it so, and it holds what tasks logged
    payload: dict[str, Any] = json.loads(json.dumps(event.payload))
    return payload


def tell(event: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Return outcome and reason by DAG."""
    return {run["dag_id"]: (run["outcome"], run["how"]) for run in event["runs"]}


def test_a_paused_dag_without_a_schedule_is_unpaused_run_and_paused_again(airflow: RunsOfDags) -> None:
    airflow.add("smoke_a")
    airflow.states = ["queued", "running", "success"]
    event = play(make_trigger("smoke_a"))
    assert tell(event) == {"smoke_a": ("success", "")}
    assert event["runs"][0]["seconds"] == 40.0
    assert airflow.done == ["unpause smoke_a", "start smoke_a", "pause smoke_a"]
    assert (airflow.confs, event["unpaused"], event["detail"]) == ({"smoke_a": {"day": "today"}}, [], "")


def test_a_dag_that_got_a_schedule_since_is_not_unpaused(airflow: RunsOfDags) -> None:
    airflow.add("smoke_a", timetable_summary="@daily")
    event = play(make_trigger("smoke_a"))
    assert tell(event)["smoke_a"][0] == "skipped"
    assert "it has a schedule" in tell(event)["smoke_a"][1]
    assert airflow.done == ["pause smoke_a"]
    assert airflow.runs == {}


def test_a_dag_whose_next_run_is_due_counts_as_scheduled_whatever_its_summary(airflow: RunsOfDags) -> None:
    airflow.add("smoke_a", next_dagrun_run_after="2026-11-30T00:00:00Z")
    assert tell(play(make_trigger("smoke_a")))["smoke_a"][0] == "skipped"
    assert "unpause smoke_a" not in airflow.done


def test_without_leave_nothing_is_unpaused(airflow: RunsOfDags) -> None:
    airflow.add("smoke_a")
    assert tell(play(make_trigger("smoke_a", unpauses=False)))["smoke_a"][0] == "skipped"
    assert airflow.done == []


@pytest.mark.parametrize(
    ("changes", "busy", "refusal", "why"),
    [
        ({"allowed_run_types": ["scheduled"]}, 0, None, "manual runs are switched off"),
        ({"max_active_runs": 2}, 2, None, "max_active_runs"),
        ({}, 0, (400, "Invalid input for param day: No value passed"), "Invalid input for param day"),
        ({}, 0, (400, "Dag with dag_id: 'smoke_a' does not allow manual runs"), "does not allow manual runs"),
    ],
)
def test_what_airflow_does_not_start_is_told_and_fails_nothing(
    airflow: RunsOfDags, changes: dict[str, Any], busy: int, refusal: tuple[int, str] | None, why: str
) -> None:
    airflow.add("smoke_a", **changes)
    airflow.busy = busy
    if refusal:
        airflow.refusals["POST smoke_a"] = refusal
    outcome, how = tell(play(make_trigger("smoke_a")))["smoke_a"]
    assert outcome == "skipped"
    assert why in how
    assert airflow.is_paused("smoke_a")


def test_a_failed_run_tells_its_task_and_what_it_logged_last(airflow: RunsOfDags) -> None:
    airflow.add("smoke_a", is_paused=False)
    airflow.states = ["failed"]
    airflow.log = [{"event": "::group::"}, *({"event": f"line {number}"} for number in range(9))]
    (run,) = play(make_trigger("smoke_a", unpauses=False))["runs"]
    assert (run["outcome"], run["task"], run["lines"][-1]) == ("failed", "load", "line 8")
    assert len(run["lines"]) == 5
    (run,) = play(make_trigger("smoke_a", unpauses=False, has_logs=False))["runs"]
    assert (run["outcome"], run["task"], run["lines"]) == ("failed", "load", [])


@pytest.mark.parametrize(
    ("laid", "task", "lines"), [("hunter2-hunter2", "load", ["key ***"]), ("another", "", [])], ids=["known", "rotated"]
)
def test_an_event_holds_no_mapped_value(
    airflow: RunsOfDags, monkeypatch: pytest.MonkeyPatch, laid: str, task: str, lines: list[str]
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_PREVIEW_KEY", "hunter2-hunter2")
    monkeypatch.setenv("AIRFLOW_CONN_ASTRO_DEFAULT", AstroDouble().connection())
    airflow.add("smoke_a", is_paused=False)
    airflow.add("smoke_b", is_paused=False)
    airflow.states, airflow.log = ["failed"], [{"event": "key hunter2-hunter2"}]
    airflow.refusals["POST smoke_b"] = (400, "hunter2-hunter2 is wrong")
    refused, failed = play(make_trigger("smoke_a", "smoke_b", unpauses=False, given=give(laid)))["runs"]
    assert (failed["outcome"], failed["task"], failed["lines"]) == ("failed", task, lines)
    assert refused["how"] == f"Airflow starts none: {'*** is wrong' if lines else OLDER}"


def test_a_run_that_never_ends_is_set_failed_at_the_deadline(airflow: RunsOfDags) -> None:
    airflow.add("smoke_a")
    airflow.states = ["running"]
    event = play(make_trigger("smoke_a", seconds=0.3))
    assert tell(event) == {"smoke_a": ("failed", "it did not end in time")}
    assert airflow.runs["smoke_a", RUN]["state"] == "failed"
    assert airflow.done[-2:] == ["end smoke_a", "pause smoke_a"]


def test_a_run_that_never_began_is_ended_and_is_no_failure(airflow: RunsOfDags) -> None:
    airflow.add("smoke_a")
    airflow.states = ["queued"]
    event = play(make_trigger("smoke_a", seconds=0.3))
    assert tell(event)["smoke_a"] == ("unknown", "its run did not begin in time")
    assert airflow.runs["smoke_a", RUN]["state"] == "failed"


def test_who_is_made_again_in_another_process_finds_its_run(airflow: RunsOfDags) -> None:
    airflow.add("smoke_a")
    airflow.states = ["running"]

    async def die() -> None:
        loop, has_begun = asyncio.get_running_loop(), asyncio.Event()

        def notice(_: Asked) -> None:
            if airflow.runs:
                loop.call_soon_threadsafe(has_begun.set)

        airflow.spoil = notice
        task = asyncio.ensure_future(anext(make_trigger("smoke_a").run()))
        await has_begun.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        airflow.spoil = lambda _: None

    asyncio.run(asyncio.wait_for(die(), 20))
    assert not airflow.is_paused("smoke_a")
    airflow.states = ["success"]
    assert tell(play(make_trigger("smoke_a"))) == {"smoke_a": ("success", "")}
    assert airflow.done.count("start smoke_a") == 1
    assert airflow.is_paused("smoke_a")


def test_a_run_of_before_whose_dag_was_paused_meanwhile_goes_on(airflow: RunsOfDags) -> None:
    airflow.add("smoke_a")
    airflow.runs["smoke_a", RUN] = {
        "dag_id": "smoke_a", "dag_run_id": RUN, "state": "queued", "start_date": None, "end_date": None
    }  # fmt: skip
    assert tell(play(make_trigger("smoke_a"))) == {"smoke_a": ("success", "")}
    assert airflow.done == ["unpause smoke_a", "pause smoke_a"]


def test_an_answer_that_is_lost_starts_no_second_run(airflow: RunsOfDags) -> None:
    airflow.add("smoke_a")
    lost: list[str] = []

    def lose(asked: Asked) -> list[bytes] | None:
        if asked.method != "POST" or lost:
            return None
        lost.append(asked.path)
        airflow.spoil = lambda _: None
        list(airflow(asked))
        return []

    airflow.spoil = lose
    assert tell(play(make_trigger("smoke_a"))) == {"smoke_a": ("success", "")}
    assert airflow.done.count("start smoke_a") == 1


def test_what_could_not_be_paused_again_is_handed_back(airflow: RunsOfDags) -> None:
    airflow.add("smoke_a")
    pauses = b'{"is_paused":true}'
    airflow.spoil = lambda asked: say({}, 503) if asked.body.replace(b" ", b"") == pauses else None
    event = play(make_trigger("smoke_a"))
    assert (tell(event), event["unpaused"]) == ({"smoke_a": ("success", "")}, ["smoke_a"])


def test_a_token_that_may_not_do_it_leaves_it_unknown_soon(airflow: RunsOfDags) -> None:
    airflow.add("smoke_a")
    Access.error = ReadRefusedError("no role there")
    event = play(make_trigger("smoke_a"))
    assert tell(event) == {"smoke_a": ("unknown", "no role there")}
    assert event["unpaused"] == ["smoke_a"]


@pytest.mark.parametrize(("deploy_id", "newer"), [("cldeploy5", "deploy cldeploy6 came after it"), ("cldeploy6", "")])
def test_runs_of_newer_code_are_told_as_such(
    airflow: RunsOfDags, monkeypatch: pytest.MonkeyPatch, deploy_id: str, newer: str
) -> None:
    airflow.add("smoke_a")
    airflow.states = ["failed"]
    with AstroDouble() as astro:
        monkeypatch.setenv("AIRFLOW_CONN_ASTRO_DEFAULT", astro.connection())
        astro.say("deployments/cldep1/deploys", serve_list("deploys", [make_deploy(6), make_deploy(5)]))
        event = play(make_trigger("smoke_a", deploy_id=deploy_id, owner="acme/shop"))
    assert (event["overtaken"], event["unpaused"]) == (newer, [])


def test_who_moves_the_branch_ends_the_runs(airflow: RunsOfDags, monkeypatch: pytest.MonkeyPatch) -> None:
    airflow.add("smoke_a")
    airflow.states = ["running"]

    async def find_moved(_: object) -> str:
        return "dev-x moved from 0123" if airflow.runs else ""

    monkeypatch.setattr(heads.Heads, "find_moved", find_moved)
    event = play(make_trigger("smoke_a"))
    assert tell(event)["smoke_a"] == ("unknown", "dev-x moved from 0123, so nobody waits for it")
    assert airflow.done[-2:] == ["end smoke_a", "pause smoke_a"]


def test_who_moves_the_branch_does_not_wait_for_an_airflow_that_is_silent(
    airflow: RunsOfDags, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def find_moved(_: object) -> str:
        return "dev-x moved from 0123"

    async def wait(_: object) -> AsyncAirflowRunner:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(heads.Heads, "find_moved", find_moved)
    monkeypatch.setattr(Access, "open_runner", wait)
    monkeypatch.setattr(smoke, "ENDING_TIME_MAX_S", 0.1)
    event = play(make_trigger("smoke_a", seconds=600))
    assert tell(event)["smoke_a"] == ("unknown", "dev-x moved from 0123, so nobody waits for it")
    assert event["unpaused"] == ["smoke_a"]  # the next pass pauses it
    assert airflow.done == []
