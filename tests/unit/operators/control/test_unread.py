"""While a file of the policy cannot be read, nothing gets a new name, and what exists goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.core.errors import PolicyError
from include.deploy_ops.core.naming import name_deployment
from include.deploy_ops.run.scope import Scope
from sandbox.identity import WORKSPACE_ID
from tests.worlds.stages.pages import fold_page

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Run, Stage

BRANCH = "dev-x"
FILE = "include/deploy_ops.d/ml.yaml"
BAN = f"no new name is taken while {FILE} cannot be read, where it may stand; mend that first"


def spoil(stage: Stage) -> None:
    """Let a file of the policy be one that nobody can read."""
    stage.scope = replace(stage.scope, unread=(FILE,))


def mend(stage: Stage) -> None:
    """Let it be readable again."""
    stage.scope = replace(stage.scope, unread=())


def read_plan(stage: Stage) -> str:
    """Make a pass that starts nothing, and return the plan that it shows."""
    task = stage.make_plan_task()
    assert stage.run_plan(task) == []
    return fold_page(str(task.plan))


def play(runs: list[Run]) -> list[str]:
    """Play the runs, of which none fails; return their verbs."""
    for run in runs:
        assert "failed" not in run.play().values(), run.xcoms
    return [run.conf["job"]["verb"] for run in runs]


def test_a_new_branch_waits_and_a_preview_that_exists_gets_its_push_and_ends(stage: Stage) -> None:
    stage.push(BRANCH)
    assert play(stage.plan()) == ["create"]
    spoil(stage)
    stage.push("dev-new")
    assert f"| hold | dev-new | create | {BAN} |" in read_plan(stage)
    stage.push(BRANCH, {"dags/more.py": "# more\n"})
    assert play(stage.plan()) == ["deploy"]
    stage.merge(BRANCH)
    assert play(stage.plan()) == ["delete"]
    mend(stage)
    assert play(stage.plan()) == ["create"]


def test_a_project_that_is_new_does_nothing_yet(stage: Stage) -> None:
    spoil(stage)
    stage.push(BRANCH)
    assert f"| hold | {BRANCH} | create | {BAN} |" in read_plan(stage)
    stage.make_deployment(BRANCH)
    said = read_plan(stage)
    assert f"| hold | {BRANCH} | deploy | {BAN} |" in said
    assert stage.memory.is_first_pass(), "its first pass is yet to come"
    mend(stage)
    assert [run.conf["job"]["verb"] for run in stage.plan()] == ["deploy"]


def give_away(stage: Stage) -> str:
    """Make a preview whose Deployment a file of another team names as its target; return its id."""
    stage.push(BRANCH)
    assert play(stage.plan()) == ["create"]
    name = name_deployment(stage.scope.project.name, BRANCH)
    stage.scope = replace(stage.scope, targets=stage.scope.targets | {name})
    assert "targets are never previews" in read_plan(stage)
    return str(next(each["id"] for each in stage.list_deployments() if each["name"] == name))


def test_a_target_of_the_file_that_was_a_preview_stays_as_it_is(stage: Stage) -> None:
    named = stage.scope.targets
    given = give_away(stage)
    deploys = stage.list_deploys(given)
    stage.scope = replace(stage.scope, targets=named)
    spoil(stage)
    stage.push(BRANCH, {"dags/more.py": "# more\n"})
    assert f"| hold | {BRANCH} | anything |" in read_plan(stage)
    stage.merge(BRANCH)
    assert "targets are never previews" in read_plan(stage)
    for action in ("delete", "deploy", "refresh", "verify"):
        run = stage.start_form(branch=BRANCH, action=action)
        assert "failed" in run.play().values()
    assert [each["id"] for each in stage.list_deployments()] == [given]
    assert stage.list_deploys(given) == deploys


def test_nothing_is_done_to_previews_where_nobody_knows_the_files_targets(stage: Stage) -> None:
    stage.push(BRANCH)
    assert play(stage.plan()) == ["create"]
    spoil(stage)
    stage.remember_always()
    stage.merge(BRANCH)
    assert f"| hold | {BRANCH} | delete | {BAN} |" in read_plan(stage)
    run = stage.start_form(branch=BRANCH, action="delete")
    run.play()
    assert run.read_failure("delete")["cause"].startswith(f"{FILE} cannot be read, and nobody knows which Deployments")
    assert len(stage.list_deployments()) == 1
    mend(stage)
    assert play(stage.plan()) == ["delete"]


@pytest.mark.parametrize("action", ["deploy", "adopt"])
def test_no_person_makes_or_adopts_one_by_the_form(stage: Stage, action: str) -> None:
    spoil(stage)
    stage.push(BRANCH)
    if action == "adopt":
        stage.make_deployment(BRANCH, description="somebody's")
    before = stage.list_deployments()
    run = stage.start_form(branch=BRANCH, action=action)
    assert "failed" in run.play().values()
    assert run.xcoms["claim"]["return_value"]["problem"] == BAN
    assert stage.list_deployments() == before


def test_a_connection_that_leads_to_another_workspace_is_not_used(stage: Stage) -> None:
    stage.push(BRANCH)
    stage.scope = replace(stage.scope, workspaces=("ws-etl",))
    stage.forget_requests()
    task = stage.make_plan_task()
    with pytest.raises(Exception, match=rf"leads to workspace '{WORKSPACE_ID}', which 'workspaces' .* \(ws-etl\)"):
        stage.run_plan(task)
    assert stage.list_requests("astro") == []
    stage.scope = replace(stage.scope, workspaces=("ws-etl", WORKSPACE_ID))
    assert play(stage.plan()) == ["create"]


def test_a_scope_names_the_workspaces_of_its_file(stage: Stage) -> None:
    scope = Scope("plane", is_dry=False, project=stage.scope.project, targets=frozenset(), workspaces=("ws-etl",))
    scope.require_workspace("ws-etl")
    with pytest.raises(PolicyError, match="connection 'astro_default' leads to workspace 'ws-other'"):
        scope.require_workspace("ws-other")
    replace(scope, workspaces=()).require_workspace("ws-other")
