"""The doctor's task: what it shows, keeps and fails for, on the sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.deploy_ops.core.doctor.check import Area, Check, Status
from include.deploy_ops.core.doctor.examination import Examination
from include.deploy_ops.operators.base import FAILURE_KEY
from include.deploy_ops.operators.doctor import examine as module
from include.deploy_ops.operators.doctor.examine import ExamineOperator
from include.deploy_ops.run.memory import Memory
from include.deploy_ops.run.store import VALUE_BYTES_MAX
from tests.worlds.doubles.airflow import DictStore, FakeStores, FakeTaskInstance
from tests.worlds.stages.stage import close_hooks

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Stage

FINE = Check(Area.GITHUB, "trunk", Status.OK, "main")
DOUBTED = Check(Area.ASTRO, "role", Status.NOT_KNOWN, "nobody tells", "look in Astro")
ILL = Check(Area.HERE, "free disk", Status.FAIL, "0.1 GiB", "free it")


def run(stage: Stage) -> tuple[ExamineOperator, dict[str, Any], Exception | None]:
    """Return the task as it ended, its XComs, and how it failed."""
    task = ExamineOperator(task_id="shop", scope=stage.scope)
    xcoms: dict[str, dict[str, Any]] = {}
    context: Any = {
        "ti": FakeTaskInstance(stage.airflow, xcoms, "shop", 1, "deploy_ops.doctor"),
        "dag_run": SimpleNamespace(run_id="scheduled__1"),
        "asset_state_store": FakeStores(stage.stores, task),
    }
    try:
        task.execute(context)
    except AirflowFailException as error:
        return task, xcoms.get("shop", {}), error
    finally:
        close_hooks(task)
    return task, xcoms.get("shop", {}), None


@pytest.fixture
def find(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let these checks be found."""
    return lambda *checks: monkeypatch.setattr(module, "examine", lambda *_: checks)


def test_what_was_found_is_shown_and_kept(stage: Stage, find: Callable[..., None]) -> None:
    find(FINE, DOUBTED)
    before = datetime.now(UTC)
    task, xcoms, error = run(stage)
    assert error is None
    assert xcoms == {}
    assert task.table.startswith("1 not known, 1 ok\n\n")
    assert "look in Astro" in task.table
    kept = stage.memory.examination.read()
    assert kept is not None
    assert (kept.checks, kept.left_out, kept.run_id) == ((FINE, DOUBTED), 0, "scheduled__1")
    assert before <= kept.at <= before + timedelta(minutes=1)


def test_what_fails_fails_the_task_for_good_in_one_line(stage: Stage, find: Callable[..., None]) -> None:
    find(FINE, ILL)
    task, xcoms, error = run(stage)
    assert str(error) == "Here free disk: 0.1 GiB (free it)"
    assert xcoms[FAILURE_KEY]["is_permanent"]
    assert task.table.startswith("1 fail, 1 ok\n\n")
    kept = stage.memory.examination.read()
    assert kept is not None
    assert kept.checks == (FINE, ILL)


def test_what_is_kept_fits_under_one_key(stage: Stage, find: Callable[..., None]) -> None:
    find(*(Check(Area.HERE, f"DAG {number}", Status.WARN, "ü" * 3000, "x" * 3000) for number in range(200)))
    run(stage)
    (stored,) = [value for name, value in stage.stores[stage.scope.fleet.name].values.items() if "doctor" in name]
    assert len(json.dumps(stored)) <= VALUE_BYTES_MAX + 128
    kept = stage.memory.examination.read()
    assert kept is not None
    assert kept.left_out > 0


def test_only_its_own_key_is_written(stage: Stage, find: Callable[..., None]) -> None:
    find(FINE)
    for store in stage.stores.values():
        store.written.clear()
    run(stage)
    assert [key for store in stage.stores.values() for key in store.written] == ["doctor.examination"]


def test_the_real_look_at_the_sandbox_comes_to_a_table(stage: Stage) -> None:
    task, _, _ = run(stage)
    kept = stage.memory.examination.read()
    assert kept is not None
    assert {check.name for check in kept.checks} >= {"Astro CLI", "Git", "triggers: GitHub", "clock beside Astro"}
    assert not [check for check in kept.checks if check.name == "everything"]
    assert "lazy_load_plugins" in task.table


def test_what_a_later_release_kept_is_read_as_far_as_it_is_known() -> None:
    store = DictStore()
    known = {"area": "Here", "name": "disk", "status": "ok", "found": "5 GiB", "advice": "", "since": "ever"}
    other = {"area": "Moon", "name": "tide", "status": "odd", "found": "high", "advice": "wait"}
    value = {"at": "2026-05-04T12:00:00Z", "checks": [known, other], "left_out": 0, "more": 1}
    store.set("doctor.examination", {"version": 1, "value": value})
    read = Memory(store).examination.read()
    assert read == Examination(datetime(2026, 5, 4, 12, tzinfo=UTC), (Check(Area.HERE, "disk", Status.OK, "5 GiB"),))
