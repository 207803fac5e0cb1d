"""Past the brake: a person is asked about a list, the answer is about exactly that list, and nothing else waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.deploy_ops.operators.cleanup import answer as cleanup_answer
from include.deploy_ops.operators.notify import Occasion
from tests.worlds.stages.cleanup import (
    AT_ONCE,
    MANUAL,
    SCHEDULED,
    SOON,
    CleanupStage,
    shift_clock,
    watch_questions,
)
from tests.worlds.stages.pages import fold_page

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Stage

ASKED, DUE = ("delete", "asked"), ("delete", "due")
RELEASED, REFUSED = ("delete", "released"), ("delete", "refused")
THREE = ("dev-a", "dev-b", "dev/c")
"""One more than the policy's `max_deletes`."""


@pytest.fixture
def doomed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> CleanupStage:
    """Give a stage on which every preview is idle enough to be deleted at once."""
    stage.change_project(previews={"delete_after": SOON, "delete_notice": AT_ONCE})
    return CleanupStage(stage, watch_questions(monkeypatch))


def list_deletes(doomed: CleanupStage) -> set[str]:
    """Return the branches whose delete control starts now."""
    runs = doomed.stage.plan()
    return {run.conf["job"]["branch"] for run in runs if run.conf["job"]["verb"] == "delete"}


def test_a_yes_releases_exactly_the_list_and_control_deletes_it(doomed: CleanupStage) -> None:
    ids = doomed.plant(*THREE)
    run = doomed.start(SCHEDULED)
    page = run.ask()
    assert page["subject"] == "Delete 3 previews of shop?"
    for branch, deployment_id in ids.items():
        assert deployment_id in page["body"]
        assert f"| `{branch}` |" in page["body"]
    assert page["defaults"] == ["Reject"]
    assert timedelta(hours=20) < page["timeout"] < timedelta(days=1)
    assert doomed.list_standings() == dict.fromkeys(THREE, ASKED)
    assert list_deletes(doomed) == set()
    doomed.stage.push("dev-late")
    doomed.stage.make_deployment("dev-late")
    run.answer("Approve")
    assert run.step("remember") == "released by ada: 3 of 3 deletes"
    run.play()
    assert run.run_id in doomed.list_emitted()
    assert doomed.list_standings() == dict.fromkeys(THREE, RELEASED)
    assert list_deletes(doomed) == set(THREE)
    assert "released by ada: 3 of 3 deletes" in run.read_field("summary", "summary")


def test_what_moved_before_the_yes_stays(doomed: CleanupStage) -> None:
    ids = doomed.plant(*THREE)
    run = doomed.start(SCHEDULED)
    run.ask()
    doomed.stage.push("dev-a", {"dags/moved.py": "# moved\n"})
    other = doomed.start(MANUAL, dry_run=False, delete_after="30d")  # sees that it moved
    other.step("find")
    assert doomed.list_standings() == dict.fromkeys(("dev-b", "dev/c"), ASKED)
    run.answer("Approve")
    assert run.step("remember") == "released by ada: 2 of 3 deletes"
    assert list_deletes(doomed) == {"dev-b", "dev/c"}
    assert ids["dev-a"] not in doomed.stage.memory.verdicts.read()


def test_nothing_else_is_held_up(doomed: CleanupStage, monkeypatch: pytest.MonkeyPatch) -> None:
    doomed.stage.change_project(
        previews={"hibernate_after": timedelta(hours=12), "delete_after": timedelta(days=5)},
    )
    ids = doomed.plant(*THREE, "dev-h")
    doomed.wake("dev-h", ids["dev-h"], datetime.now(UTC) + timedelta(days=9))
    shift_clock(monkeypatch, timedelta(days=10))
    run = doomed.start(SCHEDULED)
    page = run.ask()
    assert "dev-h" not in page["body"]
    assert doomed.list_standings() == {**dict.fromkeys(THREE, ASKED), "dev-h": ("hibernate", "due")}
    assert doomed.list_emitted() == [run.run_id]  # control learns of it before anybody answers


def test_below_the_brake_nobody_is_asked(doomed: CleanupStage) -> None:
    doomed.plant("dev-a", "dev-b")
    run = doomed.run()
    assert run.states["approve"] == "skipped"
    assert doomed.list_standings() == dict.fromkeys(("dev-a", "dev-b"), DUE)


def test_the_forms_limit_is_the_runs_brake_and_people_are_told_of_the_question(
    doomed: CleanupStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Occasion] = []
    monkeypatch.setattr(cleanup_answer, "notify", lambda _scope, _context, occasion: told.append(occasion))
    doomed.plant("dev-a")
    dry = doomed.run(MANUAL, max_deletes=0)
    assert "1 deletes at once are more than the 0 that need no approval: a person would be asked" in dry.read_field(
        "find", "table"
    )
    run = doomed.start(MANUAL, dry_run=False, max_deletes=0)
    subject = run.ask()["subject"]
    assert subject == "Delete 1 preview of shop?"
    assert told == [Occasion("approval", "cleanup", "delete", subject)]


def test_a_no_holds_until_something_of_it_moves(doomed: CleanupStage) -> None:
    doomed.plant(*THREE)
    run = doomed.start(SCHEDULED)
    run.ask()
    run.answer("Reject")
    assert "rejected by ada" in run.step("remember")
    run.play()
    doomed.end(run)
    assert doomed.list_standings() == dict.fromkeys(THREE, REFUSED)
    assert doomed.run().states["approve"] == "skipped"
    assert list_deletes(doomed) == set()
    doomed.stage.push("dev-a", {"dags/moved.py": "# moved\n"})
    assert doomed.run().states["approve"] == "skipped"
    assert doomed.list_standings() == {**dict.fromkeys(THREE, REFUSED), "dev-a": DUE}


def test_without_an_answer_nothing_is_deleted_and_the_next_run_asks_again(doomed: CleanupStage) -> None:
    doomed.plant(*THREE)
    first = doomed.start(SCHEDULED)
    first.ask()
    first.answer("Reject", timedout=True)
    with pytest.raises(AirflowSkipException, match="nobody answered in time"):
        first.step("remember")
    first.play()
    assert "nobody answered in time" in first.read_field("summary", "summary")
    doomed.end(first)
    assert list_deletes(doomed) == set()
    second = doomed.start(SCHEDULED)
    assert second.ask()["subject"] == "Delete 3 previews of shop?"
    second.answer("Approve")
    assert second.step("remember") == "released by ada: 3 of 3 deletes"


def test_two_runs_at_once_ask_once(doomed: CleanupStage) -> None:
    doomed.plant(*THREE)
    first = doomed.start(SCHEDULED)
    first.ask()
    second = doomed.start(SCHEDULED)
    second.play()
    assert second.states["approve"] == "skipped"
    assert f"waits for approval in cleanup run {first.run_id}" in second.read_field("find", "table")
    doomed.plant("dev-new")
    third = doomed.start(MANUAL, dry_run=False, max_deletes=0)
    assert third.ask()["subject"] == "Delete 1 preview of shop?"
    third.answer("Reject")
    third.step("remember")
    first.answer("Approve")
    assert first.step("remember") == "released by ada: 3 of 3 deletes"
    assert doomed.list_standings() == {**dict.fromkeys(THREE, RELEASED), "dev-new": REFUSED}


def test_a_lost_answer_is_asked_for_again_and_a_second_one_counts(doomed: CleanupStage) -> None:
    doomed.plant(*THREE)
    run = doomed.start(SCHEDULED)
    first = run.ask()["body"]
    assert run.ask_again()["body"] == first  # Airflow failed the try that was answered too soon
    run.answer("Reject")
    run.step("remember")
    run.clear_number += 1
    assert run.ask()["subject"] == "Delete 3 previews of shop?", "cleared, the same list is asked about again"
    run.answer("Approve")
    run.step("remember")
    assert doomed.list_standings() == dict.fromkeys(THREE, RELEASED)


def test_a_cleared_run_asks_about_no_other_list(doomed: CleanupStage) -> None:
    doomed.plant(*THREE)
    run = doomed.start(SCHEDULED)
    run.ask()
    doomed.plant("dev-new")
    with pytest.raises(AirflowFailException, match="asked about another list before"):
        run.step("find")
    assert doomed.list_standings() == dict.fromkeys(THREE, ASKED)


def test_lost_memory_releases_nothing(doomed: CleanupStage) -> None:
    doomed.plant(*THREE)
    run = doomed.start(SCHEDULED)
    run.ask()
    doomed.stage.stores.clear()
    run.answer("Approve")
    assert run.step("remember") == "released by ada: 0 of 3 deletes"
    assert list_deletes(doomed) == set()


@pytest.mark.parametrize("answer", ["Approve", "Reject"])
def test_deletes_that_controls_brake_holds_are_asked_about(stage: Stage, doomed: CleanupStage, answer: str) -> None:
    branches = ("dev-a", "dev-b", "dev-c", "dev-d")
    for branch in branches:
        stage.make_deployment(branch)  # whose branch is gone
    started = {run.conf["job"]["branch"] for run in stage.plan()}
    held = set(branches) - started
    assert len(started) == 1  # a quarter of four
    run = doomed.start(MANUAL, dry_run=False, max_deletes=1)
    page = run.ask()
    assert page["subject"] == "Delete 3 previews of shop?"
    assert "at once, the brake holds it | `the branch is gone`" in page["body"]
    assert run.read_field("find", "table").count("the brake holds its delete") == len(held)
    run.answer(answer)
    run.step("remember")
    doomed.end(run)
    assert list_deletes(doomed) == (held if answer == "Approve" else set())
    again = doomed.start(MANUAL, dry_run=False, max_deletes=1)
    again.play()
    assert again.states["approve"] == "skipped", "what was answered is not asked again"


def test_a_no_to_what_controls_brake_holds_outlasts_the_brake_until_its_run_is_cleared(
    stage: Stage, doomed: CleanupStage
) -> None:
    for branch in ("dev-a", "dev-b", "dev-c", "dev-d"):
        stage.make_deployment(branch)  # whose branch is gone
    (first,) = list_deletes(doomed)
    held = {"dev-a", "dev-b", "dev-c", "dev-d"} - {first}
    run = doomed.start(MANUAL, dry_run=False, max_deletes=0)
    run.ask()
    run.answer("Reject")
    run.step("remember")
    doomed.end(run)
    assert len(stage.memory.refused.read()) == len(held)
    recent = stage.memory.begun_deletes.read()
    stage.memory.begun_deletes.write(())  # an hour later
    assert list_deletes(doomed) & held == set()
    task = stage.make_plan_task()
    stage.run_plan(task)
    assert fold_page(task.plan).count("refused by ada, until something of it moves; delete it by the form") == len(held)
    doomed.run()
    assert len(stage.memory.refused.read()) == len(held), "another run reopens nothing"
    stage.memory.begun_deletes.write(recent)
    stage.airflow.states[run.run_id] = "running"
    run.clear_number += 1
    assert run.ask()["subject"] == "Delete 3 previews of shop?"
    run.answer("Approve")
    run.step("remember")
    assert stage.memory.refused.read() == {}
    assert held <= list_deletes(doomed)
