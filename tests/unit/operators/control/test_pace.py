"""After a long pass control rests: ends of runs begin no pass, and a push is acted upon at once, and shown later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from include.deploy_ops.core.plan import pulse
from include.deploy_ops.core.plan.pulse import LONG_PASS, REST_MAX
from include.deploy_ops.core.versioned import wrap_value
from include.deploy_ops.operators.control.pace import REST_KEY
from include.deploy_ops.triggers.repository import BEGUN_AT_KEY, WAKE_AT_KEY
from tests.worlds.doubles.airflow import FakeStores, FakeTaskInstance
from tests.worlds.stages.stage import close_hooks

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Stage

EVENT = [SimpleNamespace(extra={})]


def begin(stage: Stage, *called: Any) -> list[dict[str, Any]]:
    """Make a pass that events of these assets called for; return what it would dispatch."""
    task = stage.make_plan_task()
    context = {
        "ti": FakeTaskInstance(stage.airflow, {}, "plan", 1),
        "dag_run": SimpleNamespace(run_id="pass", run_type="asset_triggered", conf={}),
        "asset_state_store": FakeStores(stage.stores, task),
        "inlet_events": stage.events.read(),
        "triggering_asset_events": dict.fromkeys(called, EVENT),
        "params": {},
    }
    try:
        found: list[dict[str, Any]] = task.execute(context)
    finally:
        close_hooks(task)
    return found


def rest(stage: Stage, seconds: float = 20) -> datetime:
    """Leave a rest as a long pass does; return its end."""
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    stage.cursor_store.set(REST_KEY, wrap_value(until.isoformat()))
    return until


def read_shown(stage: Stage) -> datetime:
    """Return of when is what people are shown."""
    summary = stage.memory.summary.read()
    assert summary is not None
    return summary.at


def read_wake(stage: Stage) -> datetime:
    """Return when the trigger wakes control by itself."""
    return datetime.fromisoformat(stage.cursor_store.get(WAKE_AT_KEY)["value"])


def test_a_short_pass_leaves_no_rest(stage: Stage) -> None:
    stage.plan()
    assert stage.cursor_store.get(REST_KEY) is None


def test_a_long_pass_leaves_a_rest_and_is_woken_after_it(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "LONG_PASS", timedelta())
    monkeypatch.setattr(pulse, "REST_MAX", timedelta(seconds=25))
    stage.change_project(limits={"max_actions_per_pass": 1})
    for name in ("dev-x", "dev-y"):
        stage.push(name)
    began = datetime.now(UTC)
    assert len(stage.plan()) == 1
    until = datetime.fromisoformat(stage.cursor_store.get(REST_KEY)["value"])
    took = datetime.now(UTC) - began
    assert began < until <= began + 4 * took
    assert read_wake(stage) >= until, "what there was no room for waits for the end of the rest"


def test_ends_alone_begin_no_pass_in_the_rest_and_ask_nobody_outside(stage: Stage) -> None:
    stage.push("dev-x")
    stage.plan()
    stage.push("dev-y")
    stage.cursor_store.set(WAKE_AT_KEY, wrap_value((datetime.now(UTC) + timedelta(minutes=5)).isoformat()))
    begun_at, until = stage.cursor_store.get(BEGUN_AT_KEY), rest(stage)
    stage.forget_requests()
    with pytest.raises(AirflowSkipException, match=r"the next begins in \d+ s, or with a push"):
        begin(stage, stage.scope.fleet)
    assert stage.list_requests("github") == stage.list_requests("astro") == []
    assert stage.cursor_store.get(BEGUN_AT_KEY) == begun_at, "no pass began, and the trigger is not told that one did"
    assert read_wake(stage) == until


@pytest.mark.parametrize(("seconds", "is_kept"), [(-3, False), (4, True), (40, False)])
def test_a_pass_that_is_put_off_is_woken_at_the_latest_when_the_rest_is_over(
    stage: Stage, seconds: float, is_kept: bool
) -> None:
    stage.plan()
    wake = datetime.now(UTC) + timedelta(seconds=seconds)
    stage.cursor_store.set(WAKE_AT_KEY, wrap_value(wake.isoformat()))
    until = rest(stage)
    with pytest.raises(AirflowSkipException):
        begin(stage, stage.scope.fleet)
    assert read_wake(stage) == (wake if is_kept else until), "a time that is past was announced already"


def test_a_push_in_the_rest_is_acted_upon_and_shown_by_the_pass_after_it(stage: Stage) -> None:
    stage.plan()
    shown_at = read_shown(stage)
    stage.push("dev-x")
    until = rest(stage)
    dispatched = begin(stage, stage.scope.repository, stage.scope.fleet)
    assert [each["conf"]["job"]["branch"] for each in dispatched] == ["dev-x"]
    assert read_shown(stage) == shown_at
    assert read_wake(stage) == until
    assert stage.cursor_store.get(REST_KEY)["value"] == until.isoformat(), "pushes do not keep what is shown back"
    stage.cursor_store.delete(REST_KEY)
    begin(stage, stage.scope.repository)
    assert read_shown(stage) > shown_at
    row = stage.memory.read_row("dev-x")
    assert row is not None
    assert row.run_id == dispatched[0]["trigger_run_id"]


def test_what_a_person_or_the_clock_begins_is_a_whole_pass(stage: Stage) -> None:
    stage.push("dev-x")
    rest(stage)
    assert len(stage.plan()) == 1
    assert stage.memory.read_row("dev-x") is not None


@pytest.mark.parametrize("left", [LONG_PASS * -1, REST_MAX + timedelta(minutes=1), timedelta(days=400)])
def test_a_rest_that_is_over_or_that_no_pass_left_is_none(stage: Stage, left: timedelta) -> None:
    stage.push("dev-x")
    rest(stage, left.total_seconds())
    assert len(begin(stage, stage.scope.fleet)) == 1, "a clock that was put back holds nothing up"


def test_a_rest_that_cannot_be_read_is_none(stage: Stage) -> None:
    stage.push("dev-x")
    stage.cursor_store.set(REST_KEY, wrap_value("soon"))
    assert len(begin(stage, stage.scope.fleet)) == 1
