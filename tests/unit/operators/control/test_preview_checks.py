"""Previews wait for the checks on their commit, the first deploy and each later one; what exists stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.deploy_ops.core.policy.keys import PreviewRequires
from include.deploy_ops.core.view.row import State
from tests.unit.operators.control.test_plan import play, read_plan

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Stage

BRANCH = "dev-x"
DAG = {"dags/more.py": "# more\n"}
WAITS = "it waits until that is green, or someone forces it"


def require(stage: Stage, *checks: str) -> None:
    """Let previews wait for these checks from now on."""
    stage.change_project(previews={"requires": PreviewRequires(checks=checks)})


def test_no_preview_is_made_of_code_whose_checks_are_not_green(stage: Stage) -> None:
    require(stage, "ci/test")
    head = stage.push(BRANCH)
    said = f"check 'ci/test' is not there yet; {WAITS}"
    assert f"| hold | {BRANCH} | create | {said} |" in read_plan(stage)
    row = stage.memory.read_row(BRANCH)
    assert row is not None
    assert (row.state, row.why) == (State.WAITING, f"create: {said}")
    for state, told in (("pending", "runs"), ("failure", "did not succeed: failure")):
        stage.author.set_status(head, "ci/test", state)
        assert f"check 'ci/test' {told}; {WAITS}" in read_plan(stage)
    stage.author.set_status(head, "ci/test", "success")
    play(stage.plan())
    assert stage.list_deploys(stage.find_deployment(BRANCH)["id"])
    assert stage.plan() == []


def test_a_later_push_waits_and_the_preview_stays_as_it_is(stage: Stage) -> None:
    first = stage.push(BRANCH)
    play(stage.plan())
    require(stage, "ci/*")
    second = stage.push_more(BRANCH, DAG)
    assert f"| hold | {BRANCH} | deploy | check 'ci/*' is not there yet; {WAITS} |" in read_plan(stage)
    deployment = stage.find_deployment(BRANCH)["id"]
    assert stage.list_files(deployment) == stage.author.hash_files(first)
    row = stage.memory.read_row(BRANCH)
    assert row is not None
    assert (row.state, row.deployed, row.head) == (State.WAITING, first, second)
    stage.author.set_status(second, "ci/test", "success")
    play(stage.plan())
    assert stage.list_files(deployment) == stage.author.hash_files(second)


def test_who_waits_takes_no_room_from_others(stage: Stage) -> None:
    require(stage, "ci/test")
    stage.change_project(previews={"max_live": 1})
    green = stage.push("dev-green")
    stage.push("dev-red")  # the newest head would be the first
    stage.author.set_status(green, "ci/test", "success")
    assert [run.conf["job"]["branch"] for run in stage.plan()] == ["dev-green"]


def test_what_a_person_forces_waits_for_no_check(stage: Stage) -> None:
    require(stage, "ci/test")
    head = stage.push(BRANCH)
    assert stage.plan() == []
    run = stage.start_form(branch=BRANCH, reason="CI is down")
    play([run])
    assert stage.list_files(stage.find_deployment(BRANCH)["id"]) == stage.author.hash_files(head)
    assert stage.plan() == []


def test_what_we_say_ourselves_is_no_check(stage: Stage) -> None:
    require(stage, "*")
    head = stage.push(BRANCH)
    stage.author.set_status(head, "deploy-ops/preview", "success")
    assert "check '*' is not there yet" in read_plan(stage)
