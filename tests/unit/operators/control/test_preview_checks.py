"""Previews wait for the checks on their commit, the first deploy and each later one; what exists stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.deploy_ops.core.policy.keys import PreviewRequires
from include.deploy_ops.core.view.row import State
from include.deploy_ops.hooks.github.commit_checks import BLIND
from include.deploy_ops.triggers.awaited_checks import AWAITED_KEY, read_awaited
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


def test_check_runs_count_as_statuses_do(stage: Stage) -> None:
    require(stage, "test*")
    head = stage.push(BRANCH)
    stage.author.set_status(head, "test-status", "success")
    for state, told in (("queued", "runs"), ("timed_out", "did not succeed: timed_out")):
        stage.set_check(head, "test-run", state)
        assert f"check 'test-run' {told}; {WAITS}" in read_plan(stage)
    stage.set_check(head, "test-run", "neutral")
    assert len(stage.plan()) == 1


def test_a_check_that_the_token_cannot_see_is_not_known(stage: Stage) -> None:
    require(stage, "test", "policy-bot")
    head = stage.push(BRANCH)
    stage.set_check(head, "test", "success")
    said = {"message": "Resource not accessible by personal access token"}
    stage.sandbox.plant(face="github", path="check-runs", status=403, body=said, times=None)
    assert f"check 'policy-bot' is not known: {BLIND}; {WAITS}" in read_plan(stage)
    stage.author.set_status(head, "policy-bot", "success")
    assert len(stage.plan()) == 1  # the other one is seen as a job


def test_while_checks_cannot_be_read_nothing_is_deployed_but_by_force(stage: Stage) -> None:
    require(stage, "test")
    head = stage.push(BRANCH)
    stage.set_check(head, "test", "success")
    stage.push("dev-y")
    stage.sandbox.plant(face="github", path="check-runs", status=502, times=None)
    said = read_plan(stage)
    assert said.count("check 'test' is not known: GET") == 2
    assert sum("check-runs" in each for each in stage.list_requests("github")) == 3, "of one commit alone"
    play([stage.start_form(branch=BRANCH, reason="GitHub's checks are down")])
    assert stage.list_files(stage.find_deployment(BRANCH)["id"]) == stage.author.hash_files(head)


def test_what_trunk_requires_is_waited_for_without_ours(stage: Stage) -> None:
    stage.change_project(previews={"requires": PreviewRequires(checks="required")})
    stage.require_checks("main", "test", "deploy-ops/preview")
    head = stage.push(BRANCH)
    assert f"check 'test' is not there yet; {WAITS}" in read_plan(stage)
    stage.set_check(head, "test", "success")
    stage.set_check(head, "other", "failure")
    assert len(stage.plan()) == 1


def test_a_pass_leaves_what_it_awaits_and_the_next_one_asks_conditionally(stage: Stage) -> None:
    require(stage, "test")
    head = stage.push(BRANCH)
    stage.set_check(head, "test", "queued")
    assert stage.plan() == []
    left = read_awaited(stage.cursor_store.get(AWAITED_KEY))
    assert {sha: each.states for sha, each in left.items()} == {head: (("test", "queued"),)}
    stage.forget_requests()
    assert stage.plan() == []
    assert read_awaited(stage.cursor_store.get(AWAITED_KEY)) == left
    asked = [each for each in stage.sandbox.client.get("/sandbox/requests").json()["requests"] if head in each["path"]]
    assert [each["status"] for each in asked] == [304, 304]
    stage.set_check(head, "test", "success")
    assert len(stage.plan()) == 1
    assert read_awaited(stage.cursor_store.get(AWAITED_KEY)) == {}
