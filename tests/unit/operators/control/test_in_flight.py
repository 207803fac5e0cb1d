"""The world moves while a run works: the run ends as it must, and the next pass makes it right."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.run.scope import CLI_POOL
from tests.unit.operators.control.test_plan import let_time_pass, play, read_plan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.worlds.stages.fixtures import Log
    from tests.worlds.stages.stage import Run, Stage

BRANCH = "dev-x"
DAG = {"dags/more.py": "# more\n"}
HANG_S = 1.5
"""Seconds for which the CLI stands still: many times what the change in that time takes."""
FINALIZE = {"face": "astro", "method": "POST", "path": "/finalize$"}


@contextlib.contextmanager
def hold_cli(stage: Stage, run: Run, command: str) -> Iterator[None]:
    """Play the run; the block is executed while its CLI stands still in the command, then the run goes on."""
    stage.sandbox.plant(cli=command, hang_s=HANG_S)
    playing = threading.Thread(target=run.play)
    playing.start()
    while stage.sandbox.client.get("/sandbox/faults").json()["faults"]:
        assert playing.is_alive(), run.states
        time.sleep(0.01)
    yield
    assert command not in run.states, "the CLI did not stand still long enough"
    playing.join()


def test_a_branch_that_moves_while_it_is_deployed_is_deployed_again(stage: Stage) -> None:
    first = stage.push(BRANCH)
    (run,) = stage.plan()
    with hold_cli(stage, run, "deploy"):
        second = stage.push_more(BRANCH, DAG)
        assert f"| hold | dev-x | deploy | in flight: {run.run_id} |" in read_plan(stage)
    assert "failed" not in run.states.values(), run.xcoms
    deployment_id = stage.find_deployment(BRANCH)["id"]
    assert stage.list_files(deployment_id) == stage.author.hash_files(first)
    (following,) = stage.plan()
    assert (following.conf["job"]["head"], following.conf["job"]["reason"]) == (second, f"in place of {first[:12]}")
    play([following])
    assert stage.list_files(deployment_id) == stage.author.hash_files(second)
    assert len(stage.list_deploys(deployment_id)) == 2


def test_a_run_that_gets_no_slot_is_told_with_the_pool_and_how_to_make_it(stage: Stage, log: Log) -> None:
    stage.push(BRANCH)
    (run,) = stage.plan()
    stage.airflow.states[run.run_id] = "running"
    stage.airflow.tasks[run.run_id] = {"claim": "success", "create": "scheduled", "deploy": "None"}
    assert stage.plan() == []
    told = f"in flight: {run.run_id}; create waits for a slot; if it stays so, see that Airflow has the pool {CLI_POOL}"
    assert told in read_plan(stage)
    assert f"{run.run_id}: create waits for a slot" in log.read()
    assert f"airflow pools set {CLI_POOL} 3" in log.read()


def test_a_branch_deleted_while_its_preview_is_created_leaves_none(stage: Stage, log: Log) -> None:
    stage.push(BRANCH)
    (run,) = stage.plan()
    with hold_cli(stage, run, "create"):
        stage.author.delete(BRANCH)
    assert (run.states["create"], run.states["deploy"]) == ("success", "skipped")
    assert "superseded: branch dev-x is gone" in log.read()
    deployment_id = stage.find_deployment(BRANCH)["id"]
    assert stage.list_deploys(deployment_id) == []
    (delete,) = stage.plan()
    assert (delete.conf["job"]["verb"], delete.conf["job"]["deployment_id"]) == ("delete", deployment_id)
    play([delete])
    assert stage.list_deployments() == []
    assert stage.plan() == []


def test_a_branch_deleted_while_it_is_deployed_leaves_none(stage: Stage) -> None:
    stage.push(BRANCH)
    (run,) = stage.plan()
    with hold_cli(stage, run, "deploy"):
        stage.author.delete(BRANCH)
    (delete,) = stage.plan()
    play([delete])
    assert stage.list_deployments() == []


def test_a_branch_pushed_again_while_its_preview_is_deleted_gets_a_new_one(stage: Stage) -> None:
    head = stage.push(BRANCH)
    old = stage.create_preview(BRANCH, head)
    stage.author.delete(BRANCH)
    (run,) = stage.plan()
    with hold_cli(stage, run, "delete"):
        stage.author.push(BRANCH)
    (create,) = stage.plan()
    play([create])
    found = stage.find_deployment(BRANCH)
    assert found["id"] != old
    assert stage.list_files(found["id"]) == stage.author.hash_files(head)


@pytest.mark.parametrize(
    ("files", "said"),
    [(DAG, "Successfully uploaded DAGs"), ({"requirements.txt": "# more\n"}, "Successfully pushed image")],
    ids=["dags", "image"],
)
def test_a_success_that_astro_does_not_confirm_fails_with_the_clis_words(
    stage: Stage, log: Log, files: dict[str, str], said: str
) -> None:
    deployment_id = stage.create_preview(BRANCH, stage.push(BRANCH))
    head = stage.push_more(BRANCH, files)
    stage.change_project(settle_timeout_s=1)
    stage.sandbox.plant(**FINALIZE, status=200, body={})  # Astro says yes, and does nothing
    (run,) = stage.plan()
    states = run.play()
    assert (states["deploy"], states["settle"]) == ("success", "failed")
    cause = run.read_failure("settle")["cause"]
    assert cause.startswith("the deploy did not settle (timeout): ")
    assert f"; the CLI said: {said}" in cause
    assert f"deploy {BRANCH}: failed in settle: {cause[:100]}" in log.read()
    assert "| hold | dev-x | deploy | the deploy did not settle (timeout): " in read_plan(stage)
    stage.change_project(settle_timeout_s=60)
    let_time_pass(stage, BRANCH, 1)
    play(stage.plan())
    assert stage.list_files(deployment_id) == stage.author.hash_files(head)


def test_when_the_memory_is_lost_nothing_starts_beside_runs_of_which_nobody_knows_what_they_claimed(
    stage: Stage,
) -> None:
    stage.push(BRANCH)
    by_hand = stage.start_form(branch=BRANCH)
    by_hand.step("claim")
    stage.stores.clear()
    assert "runs of preview were at work; it goes on when they have ended" in read_plan(stage)
    assert "runs of preview were at work" in read_plan(stage)  # as long as it works
    stage.airflow.states[by_hand.run_id] = "success"
    (run,) = stage.plan()
    assert run.conf["job"]["branch"] == BRANCH
    stage.push("dev-y")
    assert [each.conf["job"]["branch"] for each in stage.plan()] == ["dev-y"]  # what is known is in nobody's way
