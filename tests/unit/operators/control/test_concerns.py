"""A repository with several projects: a branch has a preview in those that it changes, and is told so of the others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.core.view.awaited import Awaited
from tests.worlds.stages.pages import fold_page

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Stage

BRANCH = "dev-x"
UNCHANGED = f"| hold | {BRANCH} | create | changes nothing of this project |"
OVER = f"No preview, until the branch moves or someone forces it (1):\n- {BRANCH}"
BESIDE, INSIDE = {"ml/notes.txt": "1\n"}, {"etl/dags/more.py": "# more\n"}


@pytest.fixture
def mono(stage: Stage) -> Stage:
    """Give a stage whose project lies in a folder of a repository that it shares."""
    stage.push("main", {"etl/dags/own.py": "# own\n", "etl/Dockerfile": "FROM scratch\n", "etl/packages.txt": ""})
    stage.author.git("fetch", "--quiet")
    stage.change_project(root="etl", ignore=(), image=("reuse",))
    stage.scope = replace(stage.scope, shares_repository=True)
    return stage


def read_plan(stage: Stage) -> str:
    """Make a pass that starts nothing, and return the plan that it shows."""
    task = stage.make_plan_task()
    assert stage.run_plan(task) == []
    return fold_page(str(task.plan))


def test_a_branch_beside_the_project_gets_no_preview_until_a_push_brings_a_change(mono: Stage) -> None:
    mono.push(BRANCH, BESIDE)
    assert UNCHANGED in read_plan(mono)
    assert mono.memory.read_rows().keys() == {"target.production"}, "nobody is shown what is not there"
    mono.forget_requests()
    assert OVER in read_plan(mono)
    assert not [line for line in mono.list_requests("github") if "/compare/" in line or "/trees/" in line]
    head = mono.push_more(BRANCH, INSIDE)
    assert [run.conf["job"]["head"] for run in mono.plan()] == [head]


def test_a_preview_that_exists_stays_and_follows_its_branch(mono: Stage) -> None:
    start = mono.push(BRANCH, INSIDE)
    mono.make_deployment(BRANCH)
    mono.author.git("rm", "-q", "etl/dags/more.py")
    head = mono.push_more(BRANCH, BESIDE)
    assert start != head
    assert [(run.conf["job"]["verb"], run.conf["job"]["head"]) for run in mono.plan()] == [("deploy", head)]


def test_nobody_waits_on_a_pull_request_for_a_preview_that_nothing_asks_for(mono: Stage) -> None:
    head = mono.push(BRANCH, BESIDE)
    number = mono.author.open_pull_request(BRANCH, "staging", "Beside it")
    for _ in range(2):
        assert UNCHANGED in read_plan(mono)
        told = Awaited(head, "changes nothing of this project")
        assert mono.memory.read_awaited() == {f"pull/{number}": told}


def test_a_branch_without_the_projects_folder_is_held_and_nothing_fails(mono: Stage) -> None:
    mono.push(BRANCH, base="origin/main~1")
    assert f"| hold | {BRANCH} | create | {BRANCH} has no folder etl/ |" in read_plan(mono)
    mono.make_deployment(BRANCH)
    (update,) = mono.plan()
    assert update.conf["job"]["verb"] == "update", "its configuration follows trunk all the same"
    assert "failed" not in update.play().values()
    said = f"{BRANCH} has no folder etl/; push it again, or delete the preview"
    assert f"| hold | {BRANCH} | deploy | {said} |" in read_plan(mono)
    row = mono.memory.read_row(BRANCH)
    assert row is not None
    assert (row.state.value, row.why) == ("held", f"deploy: {said}")


def test_a_person_may_have_a_preview_made_all_the_same(mono: Stage) -> None:
    mono.push(BRANCH, BESIDE)
    read_plan(mono)
    run = mono.start_form(branch=BRANCH)
    run.step("claim")
    assert run.xcoms["claim"]["return_value"]["verb"] == "create"


def test_a_label_asks_for_a_preview_where_the_policy_requires_one(stage: Stage) -> None:
    stage.change_project(previews={"require_label": "preview"})
    stage.push(BRANCH)
    said = f"| hold | {BRANCH} | create | no open pull request of it has the label 'preview' |"
    assert said in read_plan(stage)
    assert OVER in read_plan(stage)
    number = stage.author.open_pull_request(BRANCH, "staging", "Look")
    assert said in read_plan(stage)
    stage.author.label(number, "preview")
    (run,) = stage.plan()
    assert run.conf["job"]["verb"] == "create"
