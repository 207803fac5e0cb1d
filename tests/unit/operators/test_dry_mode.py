"""`mode: plan`: every operator tells what it would do, and no request of any kind writes anything."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.core.plan.work import Verb
from tests.worlds.stages.pages import fold_page
from tests.worlds.stages.stage import WRITES

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Run, Stage

BRANCH = "dev-x"
NOTHING_WRITES = ("astro", "github", "registry")


@pytest.fixture
def dry(stage: Stage) -> Stage:
    """Give a stage whose policy only plans; what the test itself writes is forgotten by `play`."""
    stage.scope = replace(stage.scope, is_dry=True)
    return stage


def play(run: Run) -> dict[str, str]:
    """Play the run and prove that it wrote nothing; the images' tokens alone are asked for by GET."""
    run.stage.forget_requests()
    before = run.stage.list_deployments()
    states = run.play()
    assert run.stage.list_deployments() == before
    for face in NOTHING_WRITES:
        assert run.stage.list_requests(face, WRITES) == []
    assert [line for line in run.stage.list_requests("git") if "receive-pack" in line] == []
    assert "failed" not in states.values(), run.xcoms
    return states


def list_skipped(states: dict[str, str]) -> set[str]:
    return {task for task, state in states.items() if state == "skipped"}


def test_a_pass_holds_everything(dry: Stage) -> None:
    dry.push(BRANCH)
    dry.make_deployment("dev-gone")
    dry.forget_requests()
    task = dry.make_plan_task()
    assert dry.run_plan(task) == []
    assert f"| hold | {BRANCH} | create | mode: plan, nothing is written |" in fold_page(task.plan)
    assert "| hold | dev-gone | delete | mode: plan, nothing is written |" in fold_page(task.plan)
    assert dry.list_requests("astro", WRITES) == []
    assert dry.memory.claim(BRANCH, "planned").read() is None


def test_nothing_is_created(dry: Stage) -> None:
    states = play(dry.start_planned(Verb.CREATE, BRANCH, dry.push(BRANCH)))
    others = {"change_type", "update", "delete", "approve_adoption", "adopt", "hibernate", "decide", "verify"}
    assert list_skipped(states) == {"create", "deploy", "settle", *others}


@pytest.mark.parametrize("kind", ["dags", "image-and-dags"])
def test_nothing_is_deployed_not_even_by_force(dry: Stage, kind: str) -> None:
    dry.push(BRANCH)
    dry.make_deployment(BRANCH)
    states = play(dry.start_form(branch=BRANCH, deploy_type=kind))
    assert {"deploy", "settle"} <= list_skipped(states)


def test_nothing_is_updated(dry: Stage) -> None:
    head = dry.push(BRANCH)
    states = play(dry.start_planned(Verb.UPDATE, BRANCH, head, dry.make_deployment(BRANCH)))
    assert "update" in list_skipped(states)
    assert states["render_template"] == "success"


def test_nothing_is_deleted(dry: Stage) -> None:
    deployment_id = dry.make_deployment(BRANCH)
    assert "delete" in list_skipped(play(dry.start_planned(Verb.DELETE, BRANCH, "0" * 40, deployment_id)))


def test_no_removal_is_remembered_for_a_delete_that_did_not_happen(dry: Stage) -> None:
    dry.push(BRANCH)
    dry.make_deployment(BRANCH)
    play(dry.start_form(branch=BRANCH, action="delete"))
    assert dry.memory.environment(BRANCH).read().removal is None
