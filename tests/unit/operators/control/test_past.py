"""A branch whose preview was removed: shown for a day, then nothing is read of it, until somebody speaks of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.core.plan.remembered import Remembered, Removal
from include.deploy_ops.core.view.row import State
from tests.worlds.doubles.airflow import DictStore
from tests.worlds.stages.pages import fold_page
from tests.worlds.stages.stage import close_hooks

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Stage

BRANCH = "dev-x"
REASON = "by mira: too dear"
OVER = f"No preview, until the branch moves or someone forces it (1):\n- {BRANCH}"


class ListeningStore(DictStore):
    """Remembers which keys were read."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    def get(self, key: str, default: object = None) -> object:
        """Return the value."""
        self.read.append(key)
        return super().get(key, default)


def read_plan(stage: Stage) -> str:
    """Make a pass, and return the plan that it shows."""
    task = stage.make_plan_task()
    assert stage.run_plan(task) == []
    close_hooks(task)
    return fold_page(str(task.plan))


@pytest.fixture
def removed(stage: Stage) -> Stage:
    """Give a stage on which the branch's preview was made, and deleted by a person at this head."""
    stage.stores[stage.scope.fleet.name] = ListeningStore()
    head = stage.push(BRANCH)
    while runs := stage.plan():
        for run in runs:
            run.play()
    run = stage.start_form(action="delete", branch=BRANCH, reason="too dear")
    run.play()
    known = stage.memory.environment(BRANCH).read()
    stage.memory.environment(BRANCH).write(replace(known, removal=Removal(head, REASON)))
    return stage


def test_it_is_told_once_shown_for_a_day_and_read_no_more(removed: Stage) -> None:
    assert f"{REASON}, until the branch moves or someone forces it" in read_plan(removed)
    assert OVER in read_plan(removed)
    rows = removed.memory.read_rows()
    assert (rows[BRANCH].state, rows[BRANCH].outcomes[-1].verb) == (State.REMOVED, "delete")
    yesterday = replace(rows[BRANCH], state_at=rows[BRANCH].state_at - timedelta(days=1))
    removed.memory.write_rows(rows, {**rows, BRANCH: yesterday})
    assert OVER in read_plan(removed)
    assert BRANCH not in removed.memory.read_rows()
    store = removed.stores[removed.scope.fleet.name]
    assert isinstance(store, ListeningStore)
    removed.events.events.clear()  # those of the last minute are read again
    store.read.clear()
    assert OVER in read_plan(removed)
    assert not [key for key in store.read if key.startswith(f"environment.{BRANCH}.")]
    assert removed.memory.environment(BRANCH).read().removal is not None


def test_a_pull_request_brings_it_to_mind_with_its_reason_and_its_end_does_not_bring_the_preview(
    removed: Stage,
) -> None:
    read_plan(removed)
    assert OVER in read_plan(removed)
    removed.author.open_pull_request(BRANCH, "staging", "Again")
    assert f"{REASON}, until" in read_plan(removed)
    assert f"{REASON}, until" in read_plan(removed)
    (awaited,) = removed.memory.read_awaited().values()
    assert REASON in awaited.why


def test_all_of_it_is_forgotten_with_its_branch(removed: Stage) -> None:
    read_plan(removed)
    removed.author.delete(BRANCH)
    read_plan(removed)
    rows = removed.memory.read_rows()
    removed.memory.write_rows(rows, {BRANCH: replace(rows[BRANCH], state_at=rows[BRANCH].state_at - timedelta(days=1))})
    read_plan(removed)
    assert removed.memory.environment(BRANCH).read() == Remembered()
    store = removed.stores[removed.scope.fleet.name]
    left = {key for key, value in store.values.items() if BRANCH in key or BRANCH in str(value)}
    assert not left
