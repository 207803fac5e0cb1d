"""The delete step: only what carries our mark, only for a reason that still holds, and never on a doubt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.deploy_ops.core.errors import ObservationError, RetryableError
from include.deploy_ops.core.plan.remembered import Removal
from include.deploy_ops.core.plan.work import Verb
from tests.worlds.stages.pages import fold_page
from tests.worlds.stages.stage import WRITES

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Run, Stage

BRANCH = "dev-x"
ABSENT = {"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"}


def start(stage: Stage, deployment_id: str) -> Run:
    """Return a planned delete; whatever is asked of Astro from here on is the step's."""
    run = stage.start_planned(Verb.DELETE, BRANCH, "0" * 40, deployment_id)
    stage.forget_requests()
    return run


def is_there(stage: Stage, deployment_id: str) -> bool:
    return deployment_id in {each["id"] for each in stage.list_deployments()}


def test_a_gone_branchs_preview_is_deleted(stage: Stage) -> None:
    deployment_id, other = stage.make_deployment(BRANCH), stage.make_deployment("dev-other")
    start(stage, deployment_id).step("delete")
    assert not is_there(stage, deployment_id)
    assert is_there(stage, other)
    assert stage.memory.environment(BRANCH).read().removal is None


def test_a_merged_branchs_preview_is_deleted(stage: Stage) -> None:
    deployment_id = stage.make_deployment(BRANCH)
    stage.push(BRANCH)
    stage.merge(BRANCH, "main")
    start(stage, deployment_id).step("delete")
    assert not is_there(stage, deployment_id)


def test_a_push_after_the_merge_is_a_new_life(stage: Stage) -> None:
    deployment_id = stage.make_deployment(BRANCH)
    stage.push(BRANCH)
    stage.merge(BRANCH)
    head = stage.push_more(BRANCH, {"dags/more.py": "# more\n"})
    with pytest.raises(AirflowSkipException, match=f"superseded: dev-x lives: it is at {head[:12]}"):
        start(stage, deployment_id).step("delete")
    assert is_there(stage, deployment_id)


def test_an_open_pull_request_keeps_a_merged_branchs_preview(stage: Stage) -> None:
    deployment_id = stage.make_deployment(BRANCH)
    stage.push(BRANCH)
    stage.merge(BRANCH)
    stage.author.open_pull_request(BRANCH, "main", "And on to main")
    with pytest.raises(AirflowSkipException, match="dev-x lives"):
        start(stage, deployment_id).step("delete")
    assert is_there(stage, deployment_id)


def test_a_pull_request_closed_without_a_merge_ends_nothing(stage: Stage) -> None:
    deployment_id = stage.make_deployment(BRANCH)
    stage.push(BRANCH)
    number = stage.author.open_pull_request(BRANCH, "staging", "No")
    stage.author._api("PATCH", f"pulls/{number}", {"state": "closed"})
    with pytest.raises(AirflowSkipException, match="dev-x lives"):
        start(stage, deployment_id).step("delete")
    assert is_there(stage, deployment_id)


@pytest.mark.parametrize("changes", [{}, {"control_plane": "other"}, {"project": "other"}, {"repository": "a/b"}])
def test_anothers_deployment_is_never_deleted(stage: Stage, changes: dict[str, str]) -> None:
    description = stage.write_mark(BRANCH, **changes) if changes else "taken over by hand"
    run = start(stage, stage.make_deployment(BRANCH, description=description))
    with pytest.raises(RetryableError, match="lacks our mark for dev-x; it is never touched"):
        run.step("delete")
    assert stage.list_requests("astro", WRITES) == []
    assert len(stage.list_deployments()) == 1


def test_a_target_is_never_deleted_even_with_our_mark(stage: Stage) -> None:
    run = start(stage, stage.make_deployment(BRANCH, name="Production"))
    with pytest.raises(AirflowFailException, match="is a target of the policy"):
        run.step("delete")
    assert len(stage.list_deployments()) == 1


def test_a_repository_where_trunk_is_missing_too_deletes_nothing(stage: Stage) -> None:
    deployment_id = stage.make_deployment(BRANCH)
    run = start(stage, deployment_id)
    stage.sandbox.plant(face="github", path="/git/ref/heads/", status=404, body=ABSENT, times=None)
    with pytest.raises(ObservationError, match="heads/dev-x answered HTTP 404, and so does trunk 'main'"):
        run.step("delete")
    assert is_there(stage, deployment_id)


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 404, "body": "<html>Not Found</html>", "content_type": "text/html"},
        {"status": 500},
        {"status": 200, "body": {}},
        {"truncate": 0},
    ],
)
def test_a_broken_answer_is_no_gone_branch(stage: Stage, fault: dict[str, object]) -> None:
    deployment_id = stage.make_deployment(BRANCH)
    run = start(stage, deployment_id)
    stage.sandbox.plant(face="github", path=f"/git/ref/heads/{BRANCH}", times=None, **fault)
    with pytest.raises(ObservationError):
        run.step("delete")
    assert is_there(stage, deployment_id)


def test_a_deployment_that_is_gone_already_is_superseded(stage: Stage) -> None:
    with pytest.raises(AirflowSkipException, match="superseded: Deployment clgone of dev-x is gone"):
        start(stage, "clgone").step("delete")


def test_a_delete_without_effect_is_no_success(stage: Stage) -> None:
    run = start(stage, stage.make_deployment(BRANCH))
    stage.sandbox.plant(cli="delete", exit_0_without_deploying=True)
    with pytest.raises(RetryableError):
        run.step("delete")
    run.step("delete")
    assert stage.list_deployments() == []


def test_a_forced_delete_is_remembered_until_the_branch_moves_or_someone_forces(stage: Stage) -> None:
    stage.plan()  # the first pass ever: what comes now is no backlog
    head = stage.push(BRANCH)
    stage.make_deployment(BRANCH)
    run = stage.start_form(branch=BRANCH, action="delete", reason="too dear")
    assert "failed" not in run.play().values(), run.xcoms
    assert stage.list_deployments() == []
    assert stage.memory.environment(BRANCH).read().removal == Removal(head, "by mira: too dear")
    task = stage.make_plan_task()
    assert stage.run_plan(task) == []
    assert "by mira: too dear, until the branch moves or someone forces it" in fold_page(task.plan)
    forced = stage.start_form(branch=BRANCH)
    assert "failed" not in forced.play().values(), forced.xcoms
    assert stage.memory.environment(BRANCH).read().removal is None


def test_a_removed_preview_comes_back_with_the_next_push(stage: Stage) -> None:
    stage.plan()
    stage.push(BRANCH)
    stage.make_deployment(BRANCH)
    stage.start_form(branch=BRANCH, action="delete").play()
    head = stage.push_more(BRANCH, {"dags/more.py": "# more\n"})
    (run,) = stage.plan()
    assert (run.conf["job"]["verb"], run.conf["job"]["head"]) == ("create", head)
