"""A target that follows a branch: deployed as cheaply as can be, held when overridden, frozen when paused."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.deploy_ops.core.naming import DeployNote, format_note, name_owner
from include.deploy_ops.core.policy.keys import PullRequestSource, Target
from include.deploy_ops.core.policy.rules import Rival
from include.deploy_ops.run.memory import Occupant
from sandbox.identity import WORKSPACE_ID
from tests.worlds.stages.pages import fold_page
from tests.worlds.stages.stage import Stage

if TYPE_CHECKING:
    from tests.worlds.stages.fixtures import Log
    from tests.worlds.stages.stage import Run

SOURCE = "astro_deploy"
DAG = {"dags/a.py": "# a\n"}


@pytest.fixture
def staging(stage: Stage) -> str:
    """Let the project have a staging target, and return its Deployment's id."""
    stage.change_project(targets={"staging": Target(deployment="Staging", branch=SOURCE)})
    return stage.make_deployment("staging", name="Staging", description="made by hand", isDevelopmentMode=False)


def play(stage: Stage) -> dict[str, str]:
    """Make one pass, which must start one run of the target's DAG, and play it; return the states."""
    (run,) = stage.plan()
    assert run.dag_id == "shop.staging"
    return run.play()


def advance(stage: Stage, files: dict[str, str]) -> str:
    """Commit to the deploy branch and push it."""
    return stage.push_more(SOURCE, files)


@pytest.fixture
def running(stage: Stage, staging: str) -> str:
    """Let staging run the deploy branch's tip."""
    stage.push(SOURCE, DAG, base=f"origin/{SOURCE}")
    assert "failed" not in play(stage).values()
    return staging


def newest(stage: Stage, deployment_id: str) -> dict[str, str]:
    return dict(stage.list_deploys(deployment_id)[0])


def test_the_first_deploy_carries_the_image(stage: Stage, running: str) -> None:
    assert newest(stage, running)["type"] == "IMAGE_AND_DAG"
    assert "dags/a.py" in stage.list_files(running)
    assert stage.plan() == []


def test_only_dags_moved(stage: Stage, running: str) -> None:
    head = advance(stage, {"dags/b.py": "# b\n"})
    play(stage)
    assert newest(stage, running)["type"] == "DAG_ONLY"
    assert f"head={head}" in newest(stage, running)["description"]


def test_a_hibernating_target_is_woken_for_what_is_deployed(stage: Stage) -> None:
    stage.change_project(targets={"staging": Target(deployment="Development", branch=SOURCE)})
    running = stage.make_deployment("staging", name="Development", description="made by hand")
    stage.push(SOURCE, DAG, base=f"origin/{SOURCE}")
    play(stage)
    stage.ask_astro("POST", f"deployments/{running}/hibernation-override", {"isHibernating": True, "isActive": True})
    stage.sandbox.client.post("/sandbox/settings", json={"waking_s": 0}).raise_for_status()
    assert stage.plan() == []  # that it sleeps is nothing to repair
    advance(stage, {"dags/b.py": "# b\n"})
    assert play(stage)["settle"] == "success"
    seen = stage.ask_astro("GET", f"deployments/{running}")
    assert (seen["status"], seen["dagTarballVersion"]) == ("HEALTHY", newest(stage, running)["dagTarballVersion"])


def test_something_else_moved(stage: Stage, running: str) -> None:
    advance(stage, {"dags/b.py": "# b\n", "requirements.txt": "six\n"})
    play(stage)
    assert newest(stage, running)["type"] == "IMAGE_AND_DAG"


def test_nothing_that_matters_moved(stage: Stage, running: str) -> None:
    advance(stage, {"README.md": "more\n"})
    (run,) = stage.plan()
    states = run.play()
    assert (states["change_type"], states["deploy"]) == ("success", "skipped")
    assert "README.md" in run.tasks["change_type"].decision  # type: ignore[attr-defined]
    assert len(stage.list_deploys(running)) == 1
    assert stage.plan() == []


def test_a_paused_target_deploys_nothing_and_then_the_newest_head_only(stage: Stage, running: str) -> None:
    stage.airflow.paused.add("shop.staging")
    advance(stage, {"dags/b.py": "# b\n"})
    newest_head = advance(stage, {"dags/c.py": "# c\n"})
    task = stage.make_plan_task()
    assert stage.run_plan(task) == []
    assert "paused: DAG shop.staging is paused" in fold_page(task.plan)
    stage.airflow.paused.clear()
    play(stage)
    assert len(stage.list_deploys(running)) == 2
    assert f"head={newest_head}" in newest(stage, running)["description"]


def force(stage: Stage, **params: str) -> Run:
    run = stage.start_target_form("staging", **params)
    run.play()
    return run


def test_a_forced_deploy_says_who_and_why(stage: Stage, running: str) -> None:
    run = force(stage, reason="the pods look odd", deploy_type="image-and-dags")
    assert "failed" not in run.states.values()
    said = newest(stage, running)["description"]
    assert "forced by mira: the pods look odd" in said
    assert newest(stage, running)["type"] == "IMAGE_AND_DAG"
    assert stage.plan() == []


def test_a_dry_run_writes_nothing(stage: Stage, running: str) -> None:
    advance(stage, {"dags/b.py": "# b\n"})
    stage.forget_requests()
    run = stage.start_target_form("staging", dry_run=True)
    states = run.play()
    assert (states["change_type"], states["deploy"], states["settle"]) == ("success", "skipped", "skipped")
    assert stage.list_requests("astro", ["POST", "DELETE"]) == []


def test_two_persons_at_one_target(stage: Stage, running: str) -> None:
    first, second = (stage.start_target_form("staging") for _ in range(2))
    first.step("claim")
    with pytest.raises(AirflowFailException, match=f"staging is held by run {first.run_id}"):
        second.step("claim")


def test_somebody_elses_deploy_holds_until_a_person_resumes(stage: Stage, running: str) -> None:
    path = f"deployments/{running}/deploys"
    record = stage.ask_astro("POST", path, {"type": "DAG_ONLY", "description": "by hand"})
    stage.ask_astro("POST", f"{path}/{record['id']}/finalize", {})
    head = advance(stage, {"dags/b.py": "# b\n"})
    task = stage.make_plan_task()
    assert stage.run_plan(task) == []
    assert "by somebody else's deploy" in fold_page(task.plan)
    assert "until resumed" in fold_page(task.plan)
    run = force(stage, action="resume", reason="mended")
    assert run.states["decide"] == "success"
    play(stage)
    assert f"head={head}" in newest(stage, running)["description"]
    assert stage.plan() == []


def test_a_missing_deployment_is_told(stage: Stage) -> None:
    stage.change_project(targets={"staging": Target(deployment="Staging", branch=SOURCE)})
    task = stage.make_plan_task()
    assert stage.run_plan(task) == []
    assert "there is no Deployment named 'Staging' in the workspace; create it, or correct the policy" in fold_page(
        task.plan
    )


def test_a_missing_branch_is_told(stage: Stage, staging: str) -> None:
    stage.change_project(targets={"staging": Target(deployment="Staging", branch="nowhere")})
    task = stage.make_plan_task()
    assert stage.run_plan(task) == []
    assert "there is no branch 'nowhere'" in fold_page(task.plan)


def test_a_moved_branch_supersedes_the_run(stage: Stage, running: str) -> None:
    advance(stage, {"dags/b.py": "# b\n"})
    (run,) = stage.plan()
    head = advance(stage, {"dags/c.py": "# c\n"})
    assert run.play()["deploy"] == "skipped"
    play(stage)
    assert f"head={head}" in newest(stage, running)["description"]


def test_a_queued_run_does_not_undo_the_rollback_that_came_before_it(stage: Stage, running: str) -> None:
    old = stage.author.git("rev-parse", "HEAD")
    advance(stage, {"dags/b.py": "# b\n"})
    play(stage)
    advance(stage, {"dags/c.py": "# c\n"})
    (queued,) = stage.plan()
    stage.airflow.states[queued.run_id] = "queued"
    force(stage, ref=old, reason="b is wrong")
    assert "dags/b.py" not in stage.list_files(running)
    stage.airflow.states[queued.run_id] = "running"
    states = queued.play()
    assert "failed" not in states.values()
    assert states["deploy"] == "skipped"
    assert "dags/b.py" not in stage.list_files(running)


def test_what_the_policy_asks_for_since_a_run_was_planned_counts(stage: Stage, running: str) -> None:
    advance(stage, {"dags/b.py": "# b\n"})
    (run,) = stage.plan()
    gated = Target(deployment="Staging", branch=SOURCE, approval="required")
    stage.change_project(targets={"staging": gated})
    assert run.play()["deploy"] == "skipped"
    (asked,) = stage.run_plan(stage.make_plan_task())
    assert asked["trigger_dag_id"] == "shop.staging.request"


def test_less_than_is_needed_stays_only_until_somebody_resumes(stage: Stage, running: str) -> None:
    advance(stage, {"dags/b.py": "# b\n", "requirements.txt": "six\n"})
    force(stage, deploy_type="dags", reason="the CI is down")
    task = stage.make_plan_task()
    assert stage.run_plan(task) == []
    assert "overridden by" in fold_page(task.plan)


def test_a_release_that_was_open_before_the_policy_named_it_is_seen(stage: Stage) -> None:
    stage.change_project(targets={})
    stage.push(SOURCE, DAG, base=f"origin/{SOURCE}")
    stage.author.open_pull_request(SOURCE, "main", "Release")
    assert stage.plan() == []
    release = PullRequestSource.model_validate({"from": SOURCE, "into": "main"})
    stage.change_project(targets={"production": Target(deployment="Production", pull_request=release)})
    stage.make_deployment("production", name="Production", description="")
    (run,) = stage.plan()
    assert run.dag_id == "shop.production"


def test_a_dag_that_airflow_has_not_parsed_yet_stops_only_itself(
    stage: Stage, staging: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.push("dev-x")
    known = stage.airflow.get_dag

    def get_dag(dag_id: str) -> object:
        if dag_id == "shop.staging":
            stage.airflow.get_dagrun_state(dag_id, "no such run")  # answers 404
        return known(dag_id)

    monkeypatch.setattr(stage.airflow, "get_dag", get_dag)
    stage.push(SOURCE, DAG, base=f"origin/{SOURCE}")
    task = stage.make_plan_task()
    assert [each["trigger_dag_id"] for each in stage.run_plan(task)] == ["shop.preview"]
    assert "DAG shop.staging is not there yet" in fold_page(task.plan)


def test_a_target_on_push_gets_the_base_after_the_merge(stage: Stage) -> None:
    release = PullRequestSource.model_validate({"from": SOURCE, "into": "main"})
    target = Target(deployment="Production", pull_request=release, on="push")
    stage.change_project(targets={"production": target})
    production = stage.make_deployment("production", name="Production", description="")
    stage.push(SOURCE, DAG, base=f"origin/{SOURCE}")
    number = stage.author.open_pull_request(SOURCE, "main", "Release")
    (first,) = stage.plan()
    first.play()
    assert "dags/a.py" not in stage.list_files(production)
    head = stage.author.merge(number, "merge")
    stage.await_ci()
    (second,) = stage.plan()
    assert second.conf["job"]["head"] == head
    assert "failed" not in second.play().values()
    assert "dags/a.py" in stage.list_files(production)


@pytest.mark.parametrize("workspace", [WORKSPACE_ID, "clelsewhere"])
def test_a_deployment_that_another_project_reaches_by_another_connection_is_held(
    stage: Stage, running: str, log: Log, monkeypatch: pytest.MonkeyPatch, workspace: str
) -> None:
    theirs = json.loads(os.environ["AIRFLOW_CONN_ASTRO_DEFAULT"])
    theirs["extra"]["workspace_id"] = workspace
    monkeypatch.setenv("AIRFLOW_CONN_ASTRO_ORDERS", json.dumps(theirs))
    rivals = (Rival("staging", "orders", "live", "astro_orders"), Rival("staging", "gone", "live", "astro_gone"))
    stage.scope = replace(stage.scope, rivals=rivals)
    head = advance(stage, {"dags/b.py": "# b\n"})
    if workspace == WORKSPACE_ID:
        assert stage.plan() == []
        said = "its Deployment is also that of target 'live' of project 'orders' (connection 'astro_orders'); let one"
        assert said in log.read()
        return
    play(stage)
    assert f"commit={head}" in newest(stage, running)["description"]


def test_two_control_planes_at_one_target_end_in_a_hold_and_not_in_a_race(stage: Stage, running: str, log: Log) -> None:
    deployed = len(stage.list_deploys(running))
    head = stage.push("other-branch", {"dags/o.py": "# o\n"})
    note = DeployNote("other-branch", head, head, "r", 1, is_forced=False, owner=name_owner("acme-other", "shop"))
    made = stage.ask_astro(
        "POST", f"deployments/{running}/deploys", {"type": "DAG_ONLY", "description": format_note(note)}
    )
    stage.ask_astro("POST", f"deployments/{running}/deploys/{made['id']}/finalize", {"dagTarballVersion": ""})
    for _ in range(3):
        assert stage.plan() == []
    assert f", by the deploy {made['id']} of acme-other/shop, because other-branch@{head[:12]}, planned" in log.read()
    assert len(stage.list_deploys(running)) == deployed + 1


def rename(stage: Stage) -> None:
    """Call the target otherwise in the policy, and let what it follows move."""
    stage.change_project(targets={"uat": Target(deployment="Staging", branch=SOURCE)})
    advance(stage, {"dags/c.py": "# c\n"})


def test_a_renamed_target_waits_for_the_run_that_its_old_name_has_at_work(stage: Stage, running: str) -> None:
    advance(stage, {"dags/b.py": "# b\n"})
    (old,) = stage.plan()
    old.step("claim")
    old.states["deploy"] = "running"
    rename(stage)
    task = stage.make_plan_task()
    assert stage.run_plan(task) == []
    assert f"in flight: {old.run_id}" in fold_page(task.plan)
    by_hand = stage.start_target_form("uat")
    with pytest.raises(AirflowFailException, match=f"the Deployment of uat is held by run {old.run_id}"):
        by_hand.step("claim")
    stage.airflow.states[by_hand.run_id] = "failed"
    # Airflow goes on with no run of a DAG that is gone: what it parked is at work no more, and in nobody's way.
    old.states["deploy"] = "success"
    old.states["settle"] = "deferred"
    (new,) = stage.plan()
    assert new.dag_id == "shop.uat"
    assert "failed" not in new.play().values()
    assert stage.memory.occupant(running).read() is None


def test_a_run_that_was_dispatched_before_it_could_be_seen_steps_back(stage: Stage, running: str) -> None:
    advance(stage, {"dags/b.py": "# b\n"})
    (old,) = stage.plan()
    rename(stage)
    (new,) = stage.plan()  # the old name's run is queued, and has noted itself nowhere
    old.states["deploy"] = "running"
    stage.memory.occupant(running).write(Occupant(old.run_id, old.dag_id))
    with pytest.raises(AirflowSkipException, match=f"uat is held by {old.run_id}"):
        new.step("claim")
