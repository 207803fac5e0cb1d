"""What a preview is said to cost: the same in row, comment and cleanup's table, and nothing without prices."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.cleanup.text import COST_HEADING
from include.deploy_ops.core.feedback.text import render_comment
from include.deploy_ops.core.policy.keys import Prices
from include.deploy_ops.core.text.markdown import write_words
from include.deploy_ops.core.view.cost import GONE
from tests.worlds.stages.cleanup import AT_ONCE, SCHEDULED, CleanupStage, watch_questions
from tests.worlds.values.feedback_examples import make_facts

if TYPE_CHECKING:
    from tests.worlds.stages.cleanup import AskingRun
    from tests.worlds.stages.stage import Stage

PRICES = Prices(currency="USD", small=0.35)


@pytest.fixture
def idle(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> CleanupStage:
    stage.change_project(previews={"hibernate_after": AT_ONCE}, prices=PRICES)
    return CleanupStage(stage, watch_questions(monkeypatch))


def age_meters(stage: Stage, hours: float) -> None:
    """Let it be so long ago that control counted hours."""
    known = stage.memory.meters.read()
    month = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    assert set(known) > {GONE}
    stage.memory.meters.write(
        {
            name: type(meter)(month, month, {"SMALL": hours} if name != GONE else {}, {}, meter.is_asleep)
            for name, meter in known.items()
        }
    )


def read_table(run: AskingRun) -> str:
    """Return cleanup's table as it stands, with its headings."""
    find: Any = run.tasks["find"]
    return str(find.table)


def test_row_comment_and_cleanups_table_say_the_same(idle: CleanupStage) -> None:
    stage = idle.stage
    idle.plant("dev-a")
    stage.plan()
    age_meters(stage, 40)
    stage.change_project(prices=PRICES.model_copy(update={"small": 0.5}))  # prices that changed are used at once
    stage.plan()
    row = stage.memory.read_rows()["dev-a"]
    assert row.cost is not None
    said = row.cost.said
    assert said == f"20.00 USD in {datetime.now(UTC):%Y-%m}"
    assert f"Cost, an estimate: {write_words(said)}." in render_comment(make_facts(), 1, [row])
    run = idle.run(SCHEDULED)
    table = run.read_field("find", "table")
    (line,) = [line for line in table.splitlines() if "| dev-a |" in line]
    assert line.split(" | ")[-1].rstrip(" |") == said
    assert COST_HEADING in read_table(run)
    summary = stage.memory.summary.read()
    assert summary is not None
    assert summary.cost == said


def test_a_target_has_its_cost_in_its_row_and_as_a_part_of_the_total(stage: Stage) -> None:
    stage.renew(is_astro_empty=False)
    stage.change_project(prices=PRICES)
    stage.plan()
    stage.make_deployment("dev-a")
    stage.plan()
    age_meters(stage, 10)
    stage.change_project(prices=PRICES.model_copy(update={"small": 0.5}))
    stage.plan()
    row, summary = stage.memory.read_rows()["target.production"], stage.memory.summary.read()
    assert row.cost is not None
    assert summary is not None
    month = f"{datetime.now(UTC):%Y-%m}"
    assert row.cost.said == f"5.00 USD in {month}"
    assert summary.cost == f"10.00 USD in {month}, of it 5.00 USD for targets"


def test_without_prices_nothing_is_counted_and_nothing_said(idle: CleanupStage) -> None:
    stage = idle.stage
    stage.change_project(prices=None)
    idle.plant("dev-a")
    stage.plan()
    assert stage.memory.meters.read() == {}
    assert stage.memory.read_rows()["dev-a"].cost is None
    summary = stage.memory.summary.read()
    assert summary is not None
    assert summary.cost == ""
    table = read_table(idle.run(SCHEDULED))
    assert "idle since" in table
    assert COST_HEADING not in table


def test_a_pass_that_follows_at_once_counts_nothing_and_changes_no_row(idle: CleanupStage) -> None:
    stage = idle.stage
    idle.plant("dev-a")
    stage.plan()
    stage.plan()
    store = stage.stores[stage.scope.fleet.name]
    shown = {key: value for key, value in store.values.items() if key.startswith(("view.rows.", "control.meters"))}
    stage.plan()
    assert shown == {key: store.values[key] for key in shown}
    assert any(key.startswith("control.meters") for key in shown)


def test_what_is_gone_keeps_its_cost_in_the_total(idle: CleanupStage) -> None:
    stage = idle.stage
    (deployment_id,) = idle.plant("dev-a").values()
    stage.plan()
    age_meters(stage, 40)
    stage.ask_astro("DELETE", f"deployments/{deployment_id}")
    stage.plan()
    assert set(stage.memory.meters.read()) == {GONE}
    summary = stage.memory.summary.read()
    assert summary is not None
    assert summary.cost.startswith("14.00 USD in ")
    assert timedelta(0) < datetime.now(UTC) - summary.at < timedelta(minutes=5)
