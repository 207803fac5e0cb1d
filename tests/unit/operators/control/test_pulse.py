"""When the next pass comes: soon where something is open or failed, by the hourly resync where nothing is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.core.errors import ObservationError
from include.deploy_ops.core.feedback.budget import Budget
from include.deploy_ops.core.plan.pulse import OPEN_AGAIN
from include.deploy_ops.core.policy.keys import Feedback
from include.deploy_ops.triggers.repository import BEGUN_AT_KEY, WAKE_AT_KEY

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Stage

SLACK = timedelta(minutes=1)


def read_wake(stage: Stage) -> timedelta | None:
    """Return how long the trigger waits until it wakes control by itself; None: it does not."""
    said = stage.cursor_store.get(WAKE_AT_KEY)["value"]
    return datetime.fromisoformat(said) - datetime.now(UTC) if said else None


def test_a_project_in_which_nothing_is_open_is_left_to_the_hourly_resync(stage: Stage) -> None:
    stage.push("dev-x")
    (run,) = stage.plan()
    wake = read_wake(stage)
    assert wake is not None
    assert OPEN_AGAIN - SLACK < wake <= OPEN_AGAIN
    run.play()
    for _ in range(3):  # one tells GitHub, one learns what is left to learn
        assert stage.plan() == []
    assert read_wake(stage) is None


def test_a_pass_that_fails_is_followed_by_another_soon(stage: Stage) -> None:
    stage.plan()
    stage.sandbox.plant(face="astro", method="GET", path="/deployments\\?", status=400, body={}, times=None)
    with pytest.raises(ObservationError):
        stage.plan()
    wake = read_wake(stage)
    assert wake is not None
    assert OPEN_AGAIN - SLACK < wake <= OPEN_AGAIN


def test_what_github_is_not_told_yet_is_looked_at_again_soon(stage: Stage) -> None:
    stage.push("dev-x")
    (run,) = stage.plan()
    run.play()
    for _ in range(3):
        stage.plan()
    stage.change_project(feedback=Feedback(statuses=True))
    stage.memory.budget.write(Budget().pause(datetime.now(UTC), 3600.0))
    assert stage.plan() == []
    wake = read_wake(stage)
    assert wake is not None
    assert OPEN_AGAIN - SLACK < wake <= OPEN_AGAIN


def test_a_pass_that_fails_began_all_the_same_and_the_trigger_is_told(stage: Stage) -> None:
    before = datetime.now(UTC).isoformat()
    stage.sandbox.plant(face="astro", method="GET", path="/deployments\\?", status=400, body={}, times=None)
    with pytest.raises(ObservationError):
        stage.plan()
    assert before <= stage.cursor_store.get(BEGUN_AT_KEY)["value"] <= datetime.now(UTC).isoformat()
