"""The verify step goes on to smoke runs: what may be unpaused is stored first, and paused again whatever dies."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred

from include.deploy_ops.core.plan.pulse import OPEN_AGAIN
from include.deploy_ops.core.policy.keys import SmokeRule
from include.deploy_ops.core.verification.verdict import Proof, SmokeOutcome, Verification
from include.deploy_ops.hooks.airflow.runs import AirflowPauser
from include.deploy_ops.operators.control import pausing
from include.deploy_ops.triggers import smoke
from include.deploy_ops.triggers.repository import WAKE_AT_KEY
from include.deploy_ops.triggers.smoke import SmokeRunsTrigger
from tests.unit.operators.deploy.test_verify import BRANCH, BROKEN, ask_for, park, start, tell
from tests.unit.triggers.test_smoke import Access
from tests.worlds.doubles.deployment_airflow import TOKEN
from tests.worlds.doubles.hostile_server import HostileServer
from tests.worlds.doubles.runs_of_dags import RunsOfDags
from tests.worlds.stages.mapping import MAPPING, PASSWORD, map_environment, set_source

if TYPE_CHECKING:
    from tests.worlds.stages.fixtures import Log
    from tests.worlds.stages.stage import Run, Stage

RUN = "deploy-ops~smoke~cldeploy~1"
RULES = (SmokeRule(dag="smoke_*", conf={"day": 1}),)
PAUSED = {"dag_id": "smoke_a", "is_paused": True, "is_scheduled": False}
ENDED = {"detail": "", "runs": [{"dag_id": "smoke_a", "outcome": "success", "seconds": 3.0}], "unpaused": []}


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunsOfDags]:
    """Play the preview's Airflow, for the trigger and for control's pass."""
    played = RunsOfDags()
    monkeypatch.setattr(smoke, "AsyncAirflowAccess", Access)
    monkeypatch.setattr(smoke, "FIRST_EVENT_S", 0.0)
    monkeypatch.setattr(pausing, "read_airflow_token", lambda *_: TOKEN)
    with HostileServer(played) as server:
        monkeypatch.setattr(Access, "host", server.host)
        monkeypatch.setattr(Access, "error", None)
        monkeypatch.setattr(pausing, "AirflowPauser", lambda _, token: AirflowPauser(f"{server.host}/api/v2", token))
        yield played


def recall(stage: Stage) -> Verification:
    known = stage.memory.verification(BRANCH).read()
    assert known is not None
    return known


def start_form(stage: Stage) -> Run:
    """Return a person's run that verifies what is deployed."""
    stage.create_preview(BRANCH, stage.push(BRANCH))
    ask_for(stage, dags=RULES)
    run = stage.start_form(branch=BRANCH, action="verify")
    run.step("claim")
    return run


def park_runs(run: Run, *candidates: dict[str, Any]) -> TaskDeferred:
    """Let all be parsed; return the second deferral, which waits for the runs."""
    deferred = park(run)
    event = tell() | {"candidates": list(candidates)}
    with pytest.raises(TaskDeferred) as caught:
        run.resume("verify", deferred.method_name, **(deferred.kwargs or {}), event=event)
    return caught.value


def settle(run: Run, deferred: TaskDeferred, **changes: Any) -> Any:
    event = ENDED | {"seconds": 9.0} | changes
    return run.resume("verify", deferred.method_name, **(deferred.kwargs or {}), event=event)


def test_what_is_parsed_is_run_and_what_may_be_unpaused_is_stored_before(stage: Stage) -> None:
    ask_for(stage, dags=RULES)
    run = start(stage)
    deferred = park_runs(run, PAUSED)
    assert run.states["verify"] == "deferred"
    trigger = deferred.trigger
    assert isinstance(trigger, SmokeRunsTrigger)
    assert trigger.starts == [{"dag_id": "smoke_a", "run_id": RUN, "conf": {"day": 1}, "may_unpause": True}]
    known = recall(stage)
    assert (known.proof, known.attempt, known.unpaused) == (Proof.PENDING, 1, ("smoke_a",))
    assert settle(run, deferred)["said"] == "verified"
    known = recall(stage)
    assert (known.proof, known.unpaused, known.seconds) == (Proof.VERIFIED, (), 50.5)
    assert [each.outcome for each in known.runs] == [SmokeOutcome.SUCCESS]


def test_a_failed_run_fails_the_verification_with_task_and_log(stage: Stage) -> None:
    ask_for(stage, dags=RULES)
    run = start(stage)
    failed = {"dag_id": "smoke_a", "outcome": "failed", "seconds": 40.0, "task": "load", "lines": ["KeyError"]}
    with pytest.raises(AirflowFailException, match="smoke_a failed after 40 s, task load\n  KeyError"):
        settle(run, park_runs(run, PAUSED), runs=[failed])
    known = recall(stage)
    assert (known.proof, known.said) == (Proof.FAILED, "smoke_a failed after 40 s")


def test_a_mapped_value_that_names_a_dag_is_told_nowhere_though_it_is_not_run(
    stage: Stage, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_source(monkeypatch)
    map_environment(stage, MAPPING)
    ask_for(stage, dags=RULES)
    deferred = park(run := start(stage))
    dags = [{"dag_id": f"smoke_{quote(PASSWORD)}", "is_paused": True, "is_scheduled": True}]
    found = run.resume("verify", deferred.method_name, **(deferred.kwargs or {}), event=tell() | {"candidates": dags})
    assert found["said"].startswith("verified, smoke_*** not run")
    assert quote(PASSWORD) not in "".join((str(found), log.read(), str(run.xcoms), str(recall(stage))))


def test_runs_that_a_newer_deploy_overtook_refute_nothing(stage: Stage) -> None:
    ask_for(stage, dags=RULES)
    run = start(stage)
    failed = {"dag_id": "smoke_a", "outcome": "failed", "seconds": 40.0}
    with pytest.raises(AirflowSkipException, match="deploy d6 came after it"):
        settle(run, park_runs(run, PAUSED), runs=[failed], overtaken="deploy d6 came after it")
    known = recall(stage)
    assert (known.proof, known.unpaused, "verdict" in run.xcoms.get("verify", {})) == (Proof.PENDING, (), False)


def test_without_a_run_to_start_it_ends_at_once(stage: Stage) -> None:
    ask_for(stage, dags=RULES)
    run = start(stage)
    deferred = park(run)
    event = tell() | {"candidates": [PAUSED | {"is_scheduled": True}]}
    found = run.resume("verify", deferred.method_name, **(deferred.kwargs or {}), event=event)
    assert found["said"].startswith("verified, smoke_a not run: it has a schedule")


def test_with_import_errors_nothing_is_run(stage: Stage) -> None:
    ask_for(stage, dags=RULES)
    run = start(stage)
    deferred = park(run)
    with pytest.raises(AirflowFailException):
        run.resume(
            "verify", deferred.method_name, **(deferred.kwargs or {}), event=tell(BROKEN) | {"candidates": [PAUSED]}
        )
    assert recall(stage).unpaused == ()


def test_a_retry_finds_its_run_and_who_asks_anew_makes_another(stage: Stage) -> None:
    ask_for(stage, dags=RULES)
    run = start(stage)
    park_runs(run, PAUSED)
    again = park_runs(run, PAUSED)  # what waited died
    assert again.trigger.starts[0]["run_id"] == RUN
    settle(run, again)
    assert park_runs(run, PAUSED).trigger.starts[0]["run_id"] == RUN.replace("~1", "~2")


@pytest.mark.parametrize("is_wanted", [True, False], ids=["verified still", "verified no more"])
def test_what_dies_between_storing_and_unpausing_leaves_what_the_next_pass_finds(
    stage: Stage, airflow: RunsOfDags, *, is_wanted: bool
) -> None:
    airflow.add("smoke_a")
    run = start_form(stage)
    park_runs(run, PAUSED)
    assert recall(stage).unpaused == ("smoke_a",)
    assert airflow.done == []  # stored, and not unpaused yet
    if not is_wanted:
        stage.change_project(previews={"verify": None})
    run.play()
    assert stage.plan() == []
    assert stage.plan() == []
    assert airflow.done == ["pause smoke_a"]
    assert (stage.memory.unpausing.read() is not None) == is_wanted  # else each pass would look


def test_what_dies_after_unpausing_is_paused_again_by_the_next_pass(stage: Stage, airflow: RunsOfDags) -> None:
    airflow.add("smoke_a")
    airflow.states = ["running"]
    run = start_form(stage)
    trigger = park_runs(run, PAUSED).trigger

    async def kill() -> None:
        loop, has_begun = asyncio.get_running_loop(), asyncio.Event()

        def notice(_: object) -> None:
            if airflow.runs:
                loop.call_soon_threadsafe(has_begun.set)

        airflow.spoil = notice
        task = asyncio.ensure_future(anext(trigger.run()))
        await has_begun.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(kill(), 20))
    airflow.spoil = lambda _: None
    assert not airflow.is_paused("smoke_a")
    stage.plan()
    assert not airflow.is_paused("smoke_a")  # its run is still at work
    run.play()
    assert stage.plan() == []
    assert stage.plan() == []
    assert airflow.is_paused("smoke_a")
    assert airflow.done.count("pause smoke_a") == 1


def test_an_airflow_that_refuses_is_asked_by_few_passes(stage: Stage, airflow: RunsOfDags) -> None:
    airflow.add("smoke_a")
    airflow.refusals["PATCH smoke_a"] = (409, "no")
    run = start_form(stage)
    settle(run, park_runs(run, PAUSED), unpaused=["smoke_a"])
    run.play()
    soon = []
    for _ in range(6):
        stage.plan()
        soon.append(0 < sum(stage.memory.pausings.read().values()) < pausing.TRIES_MAX)
        wake = stage.cursor_store.get(WAKE_AT_KEY)["value"]
        assert not soon[-1] or datetime.fromisoformat(wake) <= datetime.now(UTC) + OPEN_AGAIN
    assert soon.count(True) == pausing.TRIES_MAX - 1
    assert sum(stage.memory.pausings.read().values()) == pausing.TRIES_MAX
    stage.memory.verification(BRANCH).write(replace(recall(stage), unpaused=()))
