"""A stale list of Astro's deploys: what a run finds out about it ends the belief, and the next push is deployed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.worlds.stages.request import open_gate

if TYPE_CHECKING:
    import pytest

    from tests.worlds.stages.stage import Run, Stage

BRANCH = "dev-x"


def push_dag(stage: Stage, number: int) -> str:
    return stage.push_more(BRANCH, {f"dags/more_{number}.py": "# more\n"})


def play_one(stage: Stage) -> Run:
    (run,) = stage.plan()
    assert "failed" not in run.play().values(), run.xcoms
    return run


def test_a_push_after_a_stale_list_is_superseded_once_and_then_deployed(stage: Stage) -> None:
    deployment_id = stage.create_preview(BRANCH, stage.push(BRANCH))
    stale = stage.list_deploys(deployment_id)
    push_dag(stage, 1)
    play_one(stage)
    with stage.show_records(deployment_id, stale):
        assert stage.plan() == []  # the deploy that it misses was made a moment ago, and waits for its turn
    head = push_dag(stage, 2)
    late = play_one(stage)
    assert (late.conf["job"]["observed"], late.states["deploy"]) == (stale[0]["id"], "skipped")
    assert stage.plan() == []  # told of what the run saw
    assert play_one(stage).states["deploy"] == "success"
    assert stage.list_files(deployment_id) == stage.author.hash_files(head)
    assert stage.plan() == []


def test_a_gated_target_is_asked_for_once_on_top_of_a_stale_list_and_then_deployed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = open_gate(stage, monkeypatch)
    newest = gate.record(gate.production)
    with stage.show_records(gate.production, []):
        request = gate.start_planned()
    assert request.conf["job"]["observed"] == ""
    request.ask()
    request.answer("Approve")
    request.finish()
    # What explains nothing is read again after a minute: that minute has passed.
    known = stage.memory.histories.read()
    minute = timedelta(minutes=1)
    aged = {key: replace(each, read_at=each.read_at and each.read_at - minute) for key, each in known.items()}
    stage.memory.histories.write(known, aged)
    (deploy,) = gate.plan()
    assert (deploy["trigger_dag_id"], deploy["conf"]["job"]["observed"]) == ("shop.production", newest)
