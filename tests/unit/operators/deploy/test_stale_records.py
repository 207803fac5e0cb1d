"""A stale list of Astro's deploys: what a run finds out about it ends the belief, and the next push is deployed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
