"""Gates of a target: nobody is asked while one is closed; one that closes after the yes delays, and voids nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from include.deploy_ops.core.errors import ObservationError
from include.deploy_ops.core.feedback.statuses import PENDING, judge
from include.deploy_ops.core.feedback.text import render_comment
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.policy.keys import Requires
from include.deploy_ops.core.target.gates import Checks
from include.deploy_ops.core.view.row import State
from include.deploy_ops.observation import gates
from include.deploy_ops.observation.commit_checks import CheckReader
from include.deploy_ops.run.job import load_job
from include.deploy_ops.triggers.awaited_checks import AWAITED_KEY, read_awaited
from include.deploy_ops.triggers.repository import WAKE_AT_KEY
from tests.worlds.stages.pages import fold_page
from tests.worlds.stages.request import SLUG, open_gate
from tests.worlds.values.feedback_examples import make_facts

if TYPE_CHECKING:
    from tests.worlds.stages.request import Gate
    from tests.worlds.stages.stage import Stage

WINDOWS = {"windows": {"allow": ["Mon-Fri 09:00-16:00"], "timezone": "Europe/Berlin"}}
SUNDAY, FRIDAY = datetime(2026, 11, 29, 20, tzinfo=UTC), datetime(2026, 11, 27, 14, 59, 59, tzinfo=UTC)
OPENING = datetime(2026, 11, 30, 8, tzinfo=UTC)
CLOSED = "window opens Mon 09:00 CET"
SECOND = timedelta(seconds=1)


class Clock:
    """What time it is at the gates."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
        self.now = now
        clock = self

        class Shown(datetime):
            @classmethod
            def now(cls, tz: Any = UTC) -> datetime:  # type: ignore[override]  # a plain time, as all others are
                return clock.now.astimezone(tz)

        monkeypatch.setattr(gates, "datetime", Shown)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give a clock that stands still; it is Sunday."""
    return Clock(monkeypatch, SUNDAY)


@pytest.fixture
def gate(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Give a production with windows, and a release that is to be deployed there."""
    return open_gate(stage, monkeypatch, requires=Requires.model_validate(WINDOWS))


def test_nobody_is_asked_before_a_window_opens_and_then_a_pass_asks(gate: Gate, clock: Clock) -> None:
    task = gate.stage.make_plan_task()
    assert [each for each in gate.stage.run_plan(task) if "production" in each["trigger_dag_id"]] == []
    assert f"| hold | production | request | {CLOSED} |" in fold_page(task.plan)
    row = gate.stage.memory.read_rows()[SLUG]
    assert (row.state, row.why, row.needs) == (State.WAITING, f"request: {CLOSED}", ())
    status = judge(row, make_facts())
    assert status is not None
    assert (status.state, status.description) == (PENDING, f"waiting: request: {CLOSED}")
    assert f"- Waiting: request: {CLOSED}" in render_comment(make_facts(), gate.number, [row])
    clock.now = OPENING - SECOND
    assert gate.plan() == []
    clock.now = OPENING
    shown = gate.start_planned().ask()
    assert " to production? (" in shown["subject"]
    assert "| windows | met | `window is open Mon 09:00 CET` |" in shown["body"]


def test_control_is_woken_when_a_window_opens(gate: Gate, clock: Clock) -> None:
    clock.now = datetime.now(UTC)
    soon = clock.now.replace(second=0, microsecond=0) + timedelta(minutes=2)
    rules = {"windows": {"allow": [f"Mon-Sun {soon:%H:%M}-{soon + timedelta(hours=1):%H:%M}"], "timezone": "UTC"}}
    change(gate, rules)
    assert gate.plan() == []
    assert datetime.fromisoformat(gate.stage.cursor_store.get(WAKE_AT_KEY)["value"]) == soon


def test_a_target_without_approval_is_deployed_when_a_window_opens(gate: Gate, clock: Clock) -> None:
    targets = gate.stage.scope.project.targets
    free = targets["production"].model_copy(update={"approval": "none"})
    gate.stage.change_project(targets={**targets, "production": free})
    assert gate.plan() == []
    assert gate.stage.memory.read_rows()[SLUG].why == f"deploy: {CLOSED}"
    clock.now = OPENING
    (dispatched,) = gate.plan()
    assert load_job(dispatched["conf"]["job"]).verb is Verb.DEPLOY


def test_checks_are_asked_for_of_the_head_and_the_branch_into_which_it_goes(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []
    wanted = frozenset({"ci"})
    states: list[Any] = [
        Checks({"ci": "pending"}, wanted),
        ObservationError("GitHub is down"),
        Checks({"ci": "success"}, wanted),
    ]

    def read(_: Any, sha: str, branch: str = "") -> Checks:
        asked.append((sha, branch))
        found = states[0]
        if isinstance(found, ObservationError):
            raise found
        return cast("Checks", found)

    monkeypatch.setattr(CheckReader, "read_anew", read)
    change(gate, {"checks": "required"})
    for told in ("check 'ci' runs", "which checks are required is not known: GitHub is down"):
        assert gate.plan() == []
        assert gate.stage.memory.read_rows()[SLUG].why == f"request: {told}"
        states.pop(0)
    gate.start_planned().ask()
    assert set(asked) == {(gate.head, "main")}


def test_the_trigger_looks_for_the_checks_that_a_release_awaits(gate: Gate) -> None:
    change(gate, {"checks": ["ci"]})
    gate.stage.set_check(gate.head, "ci", "in_progress")
    assert gate.plan() == []
    assert gate.stage.memory.read_rows()[SLUG].why == "request: check 'ci' runs"
    (left,) = read_awaited(gate.stage.cursor_store.get(AWAITED_KEY)).items()
    assert (left[0], left[1].states) == (gate.head, (("ci", "in_progress"),))
    gate.stage.set_check(gate.head, "ci", "success")
    gate.start_planned().ask()
    assert read_awaited(gate.stage.cursor_store.get(AWAITED_KEY)) == {}


def change(gate: Gate, rules: dict[str, Any]) -> None:
    """Let the policy require this for production."""
    targets = gate.stage.scope.project.targets
    production = targets["production"].model_copy(update={"requires": Requires.model_validate(rules)})
    gate.stage.change_project(targets={**targets, "production": production})


def test_a_window_that_closes_before_the_question_is_made_asks_nobody(gate: Gate, clock: Clock) -> None:
    clock.now = FRIDAY
    run = gate.start_planned()
    run.step("prepare")
    run.step("change_type")
    run.step("image")
    clock.now += SECOND
    with pytest.raises(AirflowSkipException, match=f"is delayed: {CLOSED}"):
        run.execute("approve")


def test_a_question_that_is_open_when_a_gate_closes_stays_open_and_is_shown(gate: Gate, clock: Clock) -> None:
    clock.now = FRIDAY
    run = gate.start_planned()
    run.ask()
    clock.now += SECOND
    for _ in range(2):
        assert gate.plan() == []
        row = gate.stage.memory.read_rows()[SLUG]
        assert (row.state, row.run_id, row.holds) == (State.APPROVAL, run.run_id, (f"request: {CLOSED}",))
    run.answer("Approve")
    run.finish()
    assert gate.plan() == []
    row = gate.stage.memory.read_rows()[SLUG]
    assert (row.state, row.why) == (State.WAITING, f"deploy: {CLOSED}")
    clock.now = OPENING
    (dispatched,) = gate.plan()
    assert load_job(dispatched["conf"]["job"]).verb is Verb.DEPLOY


def test_a_no_is_told_though_a_gate_is_closed_since(gate: Gate, clock: Clock) -> None:
    clock.now = FRIDAY
    run = gate.start_planned()
    run.ask()
    run.answer("Reject", "not on a Friday")
    run.finish()
    clock.now += SECOND
    assert gate.plan() == []
    row = gate.stage.memory.read_rows()[SLUG]
    assert (row.state, row.why.partition(";")[0]) == (State.HELD, "rejected by ada, because not on a Friday")


def test_a_question_about_an_older_head_is_not_shown_while_a_gate_is_closed(gate: Gate, clock: Clock) -> None:
    clock.now = FRIDAY
    gate.start_planned().ask()
    clock.now += SECOND
    gate.head = gate.stage.push_more("astro_deploy", {"dags/later.py": "# later\n"})
    assert gate.plan() == []
    row = gate.stage.memory.read_rows()[SLUG]
    assert (row.state, row.why) == (State.WAITING, f"request: {CLOSED}")


def test_a_window_that_closes_after_the_yes_delays_the_deploy_and_keeps_the_yes(gate: Gate, clock: Clock) -> None:
    clock.now = FRIDAY
    run = gate.start_planned()
    run.ask()
    run.answer("Approve")
    run.finish()
    (dispatched,) = gate.plan()
    deploy = gate.stage.start_dispatched(dispatched)
    for task in ("claim", "change_type", "image"):
        deploy.step(task)
    clock.now += SECOND
    with pytest.raises(AirflowSkipException, match=f"to deploy {gate.head[:12]} is delayed: {CLOSED}"):
        deploy.step("deploy")
    deploy.play()
    assert gate.stage.list_deploys(gate.production) == []
    assert gate.plan() == []
    row = gate.stage.memory.read_rows()[SLUG]
    assert (row.state, row.why) == (State.WAITING, f"deploy: {CLOSED}")
    clock.now = OPENING
    forget_delays(gate)
    (again,) = gate.plan()
    assert load_job(again["conf"]["job"]).verb is Verb.DEPLOY
    assert gate.stage.start_dispatched(again).play()["deploy"] == "success"


def forget_delays(gate: Gate) -> None:
    """Let it be long ago that a run ended."""
    gate.stage.memory.environment(SLUG).forget()


def test_a_window_that_closes_before_the_merge_delays_it(gate: Gate, clock: Clock) -> None:
    gate.deploy_merge()
    clock.now = FRIDAY
    (dispatched,) = gate.plan()
    run = gate.stage.start_dispatched(dispatched)
    run.step("claim")
    clock.now += SECOND
    with pytest.raises(AirflowSkipException, match=f"to merge {gate.head[:12]} is delayed: {CLOSED}"):
        run.step("merge")
    run.play()
    assert gate.plan() == []
    clock.now = OPENING
    forget_delays(gate)
    (again,) = gate.plan()
    assert gate.stage.start_dispatched(again).play()["merge"] == "success"
    assert gate.stage.author.show_pull_request(gate.number)["merged"]
