"""A person's deploy past closed gates: it names them everywhere, the same people decide, the policy may forbid it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.deploy_ops.core.feedback.text import render_comment
from include.deploy_ops.core.policy.keys import Approvers, Requires
from include.deploy_ops.core.text.markdown import write_words
from include.deploy_ops.run.job import load_job
from tests.unit.operators.request.test_gates import CLOSED, FRIDAY, OPENING, SECOND, SUNDAY, WINDOWS, Clock
from tests.unit.operators.test_notify import Told
from tests.worlds.stages.request import SLUG, open_gate
from tests.worlds.stages.stage import read_refusal
from tests.worlds.values.feedback_examples import make_facts

if TYPE_CHECKING:
    from pathlib import Path

    from tests.worlds.stages.request import Gate
    from tests.worlds.stages.stage import Stage

SKIPS = "(skips windows) INC-42"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give a clock that stands still; it is Sunday, when no window is open."""
    return Clock(monkeypatch, SUNDAY)


@pytest.fixture
def told(tmp_path: Path) -> Told:
    """Return what a notifier is told of gates that were skipped, and of questions."""
    return Told(tmp_path / "told")


@pytest.fixture
def gate(stage: Stage, monkeypatch: pytest.MonkeyPatch, told: Told) -> Gate:
    """Give a production with windows, and a release that is to be deployed there."""
    gate = open_gate(stage, monkeypatch, requires=Requires.model_validate(WINDOWS))
    stage.change_project(notify=(told.notice("approval", "gates"),))
    return gate


def change(gate: Gate, **changes: Any) -> None:
    """Edit production in the policy."""
    targets = gate.stage.scope.project.targets
    production = targets["production"].model_copy(update=changes)
    gate.stage.change_project(targets={**targets, "production": production})


def test_who_is_asked_reads_what_is_skipped_and_the_deploy_says_so(gate: Gate, clock: Clock, told: Told) -> None:
    change(gate, approvers=Approvers(users=("7",)))
    run = gate.start_form(reason="INC-42")
    shown = run.ask()
    assert shown["subject"].endswith(f"(pull request #{gate.number}, skips windows)")
    assert shown["body"].partition("\n")[0].endswith("; it **skips gates that are closed**: windows")
    assert f"| windows | skipped | `{CLOSED}` |" in shown["body"]
    assert [user["id"] for user in shown["assigned_users"]] == ["7"]
    run.answer("Approve")
    (dispatched,) = run.finish()
    deploy = gate.stage.start_dispatched(dispatched)
    assert deploy.play()["deploy"] == "success"
    said = gate.stage.list_deploys(gate.production)[0]["description"]
    assert f"forced by mira, approved by ada: {SKIPS} [" in said
    assert told.causes == [shown["subject"], f"deployed past closed gates: {SKIPS}"]
    gate.plan()
    row = gate.stage.memory.read_rows()[SLUG]
    assert f"by mira, approved by ada, because {write_words(SKIPS)}, " in render_comment(
        make_facts(), gate.number, [row]
    )


def test_a_deploy_that_nobody_is_asked_about_tells_what_it_skips(gate: Gate, clock: Clock, told: Told) -> None:
    change(gate, approval="none")
    run = gate.stage.start_target_form("production", reason="INC-42")
    assert run.play()["deploy"] == "success"
    assert SKIPS in gate.stage.list_deploys(gate.production)[0]["description"]
    assert told.causes == [f"deployed past closed gates: {SKIPS}"]


def test_while_all_gates_are_open_nothing_is_skipped(gate: Gate, clock: Clock, told: Told) -> None:
    clock.now = OPENING
    change(gate, approval="none", forced="gates")
    assert gate.stage.start_target_form("production", reason="INC-42").play()["deploy"] == "success"
    assert "forced by mira: INC-42 [" in gate.stage.list_deploys(gate.production)[0]["description"]
    assert told.causes == []


@pytest.mark.parametrize("approval", ["required", "none"])
def test_the_policy_lets_nobody_skip(gate: Gate, clock: Clock, approval: str) -> None:
    change(gate, approval=approval, forced="gates")
    is_asked = approval == "required"
    run = gate.start_form() if is_asked else gate.stage.start_target_form("production")
    assert read_refusal(run) == f"{CLOSED}; `forced: gates` lets nobody skip that"
    assert gate.stage.list_deploys(gate.production) == []


@pytest.mark.parametrize("is_forbidden", [False, True])
def test_what_closes_after_it_was_asked_for_is_not_skipped_unsaid(
    gate: Gate, clock: Clock, *, is_forbidden: bool
) -> None:
    clock.now = SUNDAY if is_forbidden else FRIDAY
    run = gate.start_form(reason="INC-42")
    run.ask()
    run.answer("Approve")
    (dispatched,) = run.finish()
    assert load_job(dispatched["conf"]["job"]).skips == (("windows",) if is_forbidden else ())
    deploy = gate.stage.start_dispatched(dispatched)
    for task in ("claim", "change_type", "image"):
        deploy.step(task)
    clock.now += SECOND
    if is_forbidden:
        change(gate, forced="gates")
    with pytest.raises(AirflowFailException, match=f"{CLOSED}; clear this run once that is over, or ask anew"):
        deploy.step("deploy")
    assert gate.stage.list_deploys(gate.production) == []
    clock.now = OPENING
    deploy.step("deploy")  # cleared
    assert len(gate.stage.list_deploys(gate.production)) == 1
