"""When a run of the commands DAG starts: for words that wait, one at a time, and ever later for the same ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from include.deploy_ops.core.feedback.commands import Comment
from include.deploy_ops.core.policy.file import load_policy
from include.deploy_ops.run.airflow_runs import Runs
from include.deploy_ops.run.command_runs import AGAIN, AGAIN_MAX, dispatch_commands
from include.deploy_ops.run.memory import Heard, Memory
from include.deploy_ops.run.scope import make_scope
from tests.worlds.doubles.airflow import DictStore, FakeAirflow, FakeTaskInstance
from tests.worlds.stages.commands_world import POLICY

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SAID = Comment(7, 1, "/deploy-ops deploy", "mona", 42, True, False, False, NOW)


class Control:
    """Passes of control, that ask for runs."""

    def __init__(self) -> None:
        loaded = load_policy(POLICY, "policy.yaml")
        self.scope = make_scope(loaded, loaded.policy.projects[0])
        self.memory, self.airflow = Memory(DictStore()), FakeAirflow()

    def ask(self, *said: Comment, after: timedelta = timedelta(0)) -> tuple[list[str], bool]:
        """Return the runs that one pass starts, and whether somebody waits."""
        runs = Runs(cast("Any", FakeTaskInstance(self.airflow, {}, "plan", 1)), self.scope.commands_dag)
        found, is_waiting = dispatch_commands(self.scope, said, self.memory, runs, NOW, NOW + after)
        assert all((each["trigger_dag_id"], each["conf"]) == ("shop.commands", {}) for each in found)
        return [each["trigger_run_id"] for each in found], is_waiting


def test_nobody_said_anything() -> None:
    control = Control()
    assert control.ask() == ([], False)
    assert control.ask(replace(SAID, body="hello")) == ([], False)
    control.memory.heard.write(Heard(settled=(7,)))
    assert control.ask(SAID) == ([], False)


def test_words_start_one_run_and_others_the_next_one() -> None:
    control = Control()
    (first,), is_waiting = control.ask(SAID)
    assert is_waiting
    assert first.startswith("hear~")
    control.airflow.states[first] = "running"
    assert control.ask(SAID) == ([], True)
    (second,), _ = control.ask(SAID, replace(SAID, id=8))
    assert second != first
    control.airflow.states[second] = "queued"
    assert control.ask(SAID, replace(SAID, id=8), replace(SAID, id=9)) == ([], True)  # it will read the newest


def test_the_same_words_are_tried_ever_later() -> None:
    control, at, pauses = Control(), timedelta(0), []
    said = replace(SAID, has_eyes=True)
    (run,), _ = control.ask(said)
    for _ in range(4):
        control.airflow.states[run] = "failed"
        pause = timedelta(0)
        while not (found := control.ask(said, after=at + pause)[0]):
            pause += timedelta(minutes=1)
        (again,), at = found, at + pause
        assert again.rpartition("~")[0] == run.rpartition("~")[0]
        assert again not in control.airflow.states
        run = again
        pauses.append(pause)
    assert pauses == [AGAIN, 2 * AGAIN, 4 * AGAIN, 8 * AGAIN]
    assert 2**10 * AGAIN > AGAIN_MAX


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_run_never_gets_a_name_that_was_used(is_lost: bool) -> None:
    control = Control()
    (run,), _ = control.ask(SAID)
    control.airflow.states[run] = "failed"
    if is_lost:
        control.memory = Memory(DictStore())
    (again,), _ = control.ask(SAID, after=AGAIN)
    assert (run[-2:], again[-2:]) == ("~1", "~2")


def test_a_paused_dag_hears_nobody_and_wakes_nobody() -> None:
    control = Control()
    control.airflow.paused.add("shop.commands")
    assert control.ask(SAID) == ([], False)
