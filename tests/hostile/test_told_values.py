"""What a preview was given, repeated by its own Airflow: it is in no trigger, no event, no XCom, no store and no log.

The real tasks and triggers run, each trigger made anew from what Airflow stores of it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from include.deploy_ops.core.environment.rotation import Laid
from include.deploy_ops.core.errors import ObservationError, WriteRefusedError
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.policy.keys import SmokeRule, Verify
from include.deploy_ops.core.verification.facts import AirflowDag, AirflowFacts, ImportFault
from include.deploy_ops.core.verification.smoke import FailedTask, RunFacts, StartFacts
from include.deploy_ops.core.verification.verdict import Verification
from include.deploy_ops.hooks.secrets import read_secrets
from include.deploy_ops.triggers import smoke, verified
from include.deploy_ops.triggers.masks import OLDER
from tests.worlds.stages import stage as stages
from tests.worlds.stages.mapping import EXTRA_TOKEN, KEY, MAPPING, PASSWORD, map_environment, set_source
from tests.worlds.stages.stage import await_event

if TYPE_CHECKING:
    from tests.worlds.stages.fixtures import Log
    from tests.worlds.stages.stage import Run, Stage

BRANCH = "dev-x"
CANARIES = (PASSWORD, quote(PASSWORD, safe=""), json.dumps(PASSWORD)[1:-1], KEY, EXTRA_TOKEN)
SAID = " ".join(CANARIES)
OTHER = "another-key-98765"
THEN = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Airflow:
    """An Airflow that repeats what it was given wherever it says anything; its DAG `smoke_a` fails."""

    looks = 0

    def __init__(self, *_: object) -> None:
        pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def look(self) -> AirflowFacts:
        Airflow.looks += 1
        if Airflow.looks == 1:
            raise ObservationError(f"HTTP 500 {SAID}")
        at = THEN + timedelta(seconds=60 * Airflow.looks)
        ids = ("smoke_a", f"smoke_{KEY}", f"extra_{EXTRA_TOKEN}")
        dags = [AirflowDag(each, "fresh.py", at, 0.1, is_paused=True) for each in ids]
        trace = f'  File "/usr/local/airflow/dags/fresh.py", line 3, in <module>\nValueError: {SAID}\n'
        faults = (ImportFault("fresh.py", at, trace), ImportFault(f"{KEY}.py", at, trace))
        return AirflowFacts(at, tuple(dags), faults)

    async def open_runner(self) -> Self:
        return self

    async def lay_pools(self, _: object) -> tuple[str, ...]:
        raise WriteRefusedError(f"HTTP 400 {SAID}", 400, SAID)

    async def read_run(self, dag_id: str, _: str) -> RunFacts | None:
        assert dag_id.startswith("smoke_")
        return None

    async def read_start(self, _: str) -> StartFacts:
        return StartFacts(is_paused=True, is_scheduled=False)

    async def set_paused(self, _: str, *, is_paused: bool) -> None:
        assert is_paused in {True, False}

    async def start(self, *_: object) -> RunFacts:
        return RunFacts("failed", 3.0)

    async def list_failed_tasks(self, *_: object) -> tuple[FailedTask, ...]:
        return (FailedTask(f"load.{KEY}", -1, 1),)

    async def read_log(self, *_: object) -> str:
        return "\n".join([*CANARIES, "the end"])


@pytest.fixture
def run(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a run that deployed to a preview which holds canaries."""
    monkeypatch.setattr(Airflow, "looks", 0)
    for module in (verified, smoke):
        monkeypatch.setattr(module, "AsyncAirflowAccess", Airflow)
        monkeypatch.setattr(module, "FIRST_EVENT_S", 0.0)
    set_source(monkeypatch)
    map_environment(stage, {**MAPPING, "pools": {"warehouse": {"slots": 1}}})
    rules = Verify(airflow_conn_id="preview_airflow", import_errors="report", dags=(SmokeRule(dag="smoke_*"),))
    stage.change_project(previews={"verify": rules})
    head = stage.push(BRANCH, {"dags/fresh.py": "from airflow.sdk import DAG\n"})
    deployment = stage.make_deployment(BRANCH)
    values = read_secrets(stage.scope.previews.environment.mapped).values
    remembered = stage.memory.environment(BRANCH)
    seals = stage.seals.seal_values(deployment, values)
    remembered.write(replace(remembered.read(), laid=Laid(deployment, seals, THEN)))
    run = stage.start_planned(Verb.DEPLOY, BRANCH, head, deployment)
    run.hand("deploy", {"deployment_id": deployment})
    run.hand("settle", {"state": "settled", "detail": "", "deploy_id": "cldeploy"})
    return run


def verify(run: Run, monkeypatch: pytest.MonkeyPatch) -> tuple[Verification, str]:
    """Return the verdict after all that is waited for, and all that was stored or told on the way."""
    kept: list[Any] = []

    def note(deferred: TaskDeferred) -> dict[str, Any]:
        event = await_event(deferred)
        kept.extend([deferred.trigger.serialize(), deferred.kwargs, event])
        return event

    monkeypatch.setattr(stages, "await_event", note)
    with pytest.raises(AirflowFailException) as caught:
        run.step("verify")
    assert len(kept) == 6  # two triggers, with what each resumed with
    run.step("report")
    run.stage.plan()
    known = run.stage.memory.verification(BRANCH).read()
    assert known is not None
    kept += [str(caught.value), run.xcoms, [store.values for store in run.stage.stores.values()]]
    return known, json.dumps(kept, default=str)


def test_what_it_was_given_is_told_nowhere(run: Run, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    known, said = verify(run, monkeypatch)
    assert "c4nary" not in said + log.read()
    assert [each.error[:15] for each in known.broken] == ["ValueError: ***"]
    assert known.said == "smoke_a failed after 3 s"
    failed, *skipped = known.runs
    assert (failed.task, failed.lines[-1], failed.lines[0]) == ("load.***", "the end", "***")
    assert [each.dag_id for each in skipped] == ["smoke_***"]


def test_what_it_was_given_before_a_rotation_is_told_by_its_type_alone(
    run: Run, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_source(monkeypatch, key=OTHER)
    known, said = verify(run, monkeypatch)
    assert [each.error for each in known.broken] == ["ValueError"]
    assert {(each.task, each.lines) for each in known.runs} == {("", ())}
    assert OLDER in said
    assert "HTTP" not in said
    assert f"ValueError: {PASSWORD}" not in said + log.read()
