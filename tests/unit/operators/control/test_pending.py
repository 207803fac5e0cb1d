"""A merge that GitHub does not compute: passes look for it again and again, and later and later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from include.deploy_ops.triggers.repository import WAKE_AT_KEY
from tests.worlds.stages.request import open_gate

if TYPE_CHECKING:
    import pytest

    from tests.worlds.stages.stage import Stage

SLACK = timedelta(seconds=5)


def plan_until(stage: Stage) -> timedelta:
    """Make a pass that starts nothing for production; return how long it waits for the next one."""
    stage.run_plan(stage.make_plan_task())
    return datetime.fromisoformat(stage.cursor_store.get(WAKE_AT_KEY)["value"]) - datetime.now(UTC)


def test_the_pause_grows_while_github_does_not_compute_the_merge(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = open_gate(stage, monkeypatch)
    assert stage.sandbox.client.post("/sandbox/settings", json={"mergeability_s": 3600}).is_success
    stage.push("main", {"docs/more.md": "More.\n"})
    assert timedelta() < plan_until(stage) <= timedelta(seconds=10)
    ((awaits, since),) = stage.memory.pending.read().items()
    assert gate.head in awaits
    stage.memory.pending.write({awaits: since - timedelta(minutes=4)})
    assert timedelta(minutes=4) - SLACK < plan_until(stage) < timedelta(minutes=4) + SLACK
    stage.memory.pending.write({awaits: since - timedelta(hours=4)})
    assert timedelta(minutes=5) - SLACK < plan_until(stage) < timedelta(minutes=5)
    stage.push("main", {"docs/more.md": "And more.\n"})
    assert timedelta() < plan_until(stage) <= timedelta(seconds=10)
