"""Cleanup runs: what nobody uses is decided and remembered, a dry run leaves no trace, and the table can be read."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.deploy_ops.core.cleanup.text import FINDING_HEADINGS
from include.deploy_ops.core.plan.outcome import Outcome
from include.deploy_ops.core.plan.remembered import Remembered
from tests.worlds.stages.cleanup import AT_ONCE, MANUAL, SCHEDULED, SOON, CleanupStage, watch_questions
from tests.worlds.stages.stage import WRITES

if TYPE_CHECKING:
    from tests.worlds.stages.cleanup import AskingRun
    from tests.worlds.stages.stage import Stage

PLAIN = {"find": "success", "approve": "skipped", "remember": "skipped", "summary": "success"}


@pytest.fixture
def idle(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> CleanupStage:
    """Give a stage on which every preview is idle enough to hibernate."""
    stage.change_project(previews={"hibernate_after": AT_ONCE})
    return CleanupStage(stage, watch_questions(monkeypatch))


def read_row(run: AskingRun, branch: str) -> str:
    lines = run.read_field("find", "table").splitlines()
    (row,) = [line for line in lines if f"| {branch} |" in line]
    return row


def test_what_a_file_that_cannot_be_read_named_as_its_target_is_no_preview(idle: CleanupStage) -> None:
    stage = idle.stage
    ids, known = idle.plant("dev-a"), stage.memory.continuity.read()
    assert known is not None
    stage.scope = replace(stage.scope, unread=("include/deploy_ops.d/ml.yaml",))
    stage.memory.continuity.write(replace(known, targets=("shop-dev-a",)))
    run = idle.run(SCHEDULED)
    assert "hibernate |" not in run.read_field("find", "table")
    assert stage.memory.verdicts.read() == {}
    stage.memory.continuity.write(replace(known, targets=()))
    idle.run(SCHEDULED)
    assert [*stage.memory.verdicts.read()] == [ids["dev-a"]]


@pytest.mark.parametrize("how", ["by hand", "mode: plan"])
def test_a_dry_run_shows_the_table_and_leaves_no_trace(idle: CleanupStage, how: str) -> None:
    idle.plant("dev-a", "dev|b`c")
    if how == "mode: plan":
        idle.stage.scope = replace(idle.stage.scope, is_dry=True)
    before = copy.deepcopy({name: store.values for name, store in idle.stage.stores.items()})
    idle.stage.forget_requests()
    run = idle.run(MANUAL) if how == "by hand" else idle.run(SCHEDULED)
    assert run.states == PLAIN
    assert {name: store.values for name, store in idle.stage.stores.items() if store.values} == before
    for face in ("astro", "github", "registry"):
        assert idle.stage.list_requests(face, WRITES) == []
    assert idle.list_emitted() == []
    assert idle.shown == {}
    table = run.read_field("find", "table")
    assert table.startswith("Dry run: nothing is written. 2 hibernate\n")
    row = read_row(run, "dev|b`c")
    assert len(row.split(" | ")) == len(FINDING_HEADINGS)
    assert "| hibernate | idle since 20" in row
    assert "Dry run: nothing was written" in run.read_field("summary", "summary")


def test_a_scheduled_run_decides_wakes_control_and_is_short(idle: CleanupStage) -> None:
    ids = idle.plant("dev-a", "dev-b")
    idle.stage.memory.environment("dev-b").write(Remembered(kept="by mira: a demo"))
    run = idle.run()
    assert run.states == PLAIN
    assert idle.list_standings() == {"dev-a": ("hibernate", "due")}
    assert idle.list_emitted() == [run.run_id]
    assert "| keep | kept by mira: a demo |" in read_row(run, "dev-b")
    summary = run.read_field("summary", "summary")
    assert "Found 1 hibernate, 1 keep." in summary
    assert "Hibernates (1)\n- shop-dev-a: idle since" in summary
    assert "Kept (1)\n- shop-dev-b: kept by mira: a demo" in summary
    (work,) = idle.stage.run_plan(idle.stage.make_plan_task())[:1]
    assert work["conf"]["job"]["deployment_id"] in ids.values()


def test_idle_enough_to_go_is_told_before(idle: CleanupStage) -> None:
    idle.stage.change_project(previews={"delete_after": SOON, "delete_notice": timedelta(days=1)})
    idle.plant("dev-a")
    run = idle.run()
    assert idle.list_standings() == {"dev-a": ("delete", "due")}
    (verdict,) = idle.stage.memory.verdicts.read().values()
    assert verdict.due_at == verdict.decided_at + timedelta(days=1)
    assert verdict.run_id == run.run_id
    assert f"| told | idle since {verdict.idle_since:%Y-%m-%d %H:%M} UTC; deleted at" in read_row(run, "dev-a")
    assert idle.run().states == PLAIN
    assert idle.list_emitted() == [run.run_id]  # nothing new: control sleeps on


def test_the_form_narrows_one_run_and_leaves_other_verdicts_alone(idle: CleanupStage) -> None:
    idle.plant("dev-a", "dev-b", "dev/c")
    idle.run(MANUAL, dry_run=False, branches="dev-b")
    assert idle.list_standings() == {"dev-b": ("hibernate", "due")}
    run = idle.run(MANUAL, dry_run=False, branches=["dev/*", "dev-x"], hibernate_after="9d", delete_after="30d")
    assert "dev-b" not in run.read_field("find", "table")
    assert "| keep | active at" in read_row(run, "dev/c")
    assert idle.list_standings() == {"dev-b": ("hibernate", "due")}


def test_a_form_that_is_wrong_ends_the_run_before_anything_is_asked_of_anybody(idle: CleanupStage) -> None:
    idle.stage.forget_requests()
    run = idle.start(MANUAL, dry_run=False, hibernate_after="two days")
    with pytest.raises(AirflowFailException, match="hibernate_after: found 'two days', expected a duration"):
        run.step("find")
    assert idle.stage.list_requests("github") == []


def test_what_is_not_ours_is_never_in_the_table(idle: CleanupStage) -> None:
    idle.plant("dev-a")
    other = idle.stage.write_mark("dev-b", control_plane="other")
    idle.stage.push("dev-b")
    idle.stage.make_deployment("dev-b", description=other)
    idle.stage.make_deployment("dev-a", name="Production")
    run = idle.run()
    table = run.read_field("find", "table")
    assert "dev-b" not in table
    assert "carries the same mark as" in table  # two with one mark: reported, and nothing is decided about them
    assert idle.list_standings() == {}


def test_an_outage_of_github_fails_the_run_and_decides_nothing(idle: CleanupStage) -> None:
    idle.plant("dev-a")
    idle.run()
    before = idle.list_standings()
    fault = {"face": "github", "status": 502, "times": None}
    assert idle.stage.sandbox.client.post("/sandbox/faults", json=fault).is_success
    run = idle.start()
    with pytest.raises(Exception, match="502"):
        run.step("find")
    assert idle.stage.sandbox.client.delete("/sandbox/faults").is_success
    assert idle.list_standings() == before


def test_the_summary_tells_what_control_did_in_the_last_day(idle: CleanupStage) -> None:
    ids = idle.plant("dev-a")
    idle.run()
    now = datetime.now(UTC)
    idle.wake("dev-a", ids["dev-a"], now)
    memory = idle.stage.memory
    rows = memory.read_rows()
    outcomes = tuple(
        Outcome("r", "shop.preview", verb, "success", now - timedelta(hours=age), why="idle | since long")
        for verb, age in (("hibernate", 30), ("deploy", 3), ("hibernate", 2))
    )
    memory.write_rows(rows, {"dev-a": replace(rows["dev-a"], outcomes=outcomes)})
    summary = idle.run().read_field("summary", "summary")
    told = summary.partition("Done in the last day")[2].strip().splitlines()
    assert told == [f"- {now - timedelta(hours=2):%Y-%m-%d %H:%M} UTC hibernate of dev-a: success, idle | since long"]
