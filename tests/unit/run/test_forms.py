"""Forced deploys: any ref, by whom and why; what is not the source's own stays until the branch moves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.deploy_ops.core.naming import slug_target
from include.deploy_ops.core.policy.keys import Target
from include.deploy_ops.core.text.markdown import REASON_LENGTH_MAX
from include.deploy_ops.core.view.row import State
from include.deploy_ops.run.claims import MANUAL
from tests.worlds.stages.pages import fold_page
from tests.worlds.stages.request import PRODUCTION, STAGING
from tests.worlds.stages.stage import read_refusal

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Run, Stage

BRANCH = "dev-x"
FIRST, SECOND = {"dags/first.py": "# 1\n"}, {"dags/second.py": "# 2\n"}


@pytest.fixture
def preview(stage: Stage) -> tuple[str, str, str]:
    """Return a preview's Deployment, the commit before its head, and its head, which it runs."""
    old = stage.push(BRANCH, FIRST)
    deployment_id = stage.create_preview(BRANCH, old)
    head = stage.push_more(BRANCH, SECOND)
    (run,) = stage.plan()
    run.play()
    return deployment_id, old, head


def force(stage: Stage, **params: Any) -> Run:
    run = stage.start_form(branch=BRANCH, **params)
    run.play()
    assert "failed" not in run.states.values(), run.xcoms
    return run


def read_plan(stage: Stage) -> str:
    task = stage.make_plan_task()
    assert stage.run_plan(task) == []
    return fold_page(str(task.plan))


def test_a_rollback_is_shown_as_one_and_stays_until_the_branch_moves(
    stage: Stage, preview: tuple[str, str, str]
) -> None:
    deployment_id, old, head = preview
    force(stage, ref=old[:10], reason="the second DAG is wrong")
    assert "dags/second.py" not in stage.list_files(deployment_id)
    said = stage.list_deploys(deployment_id)[0]["description"]
    assert "override by mira: rollback: the second DAG is wrong" in said
    assert f" head={head} commit={old} " in said
    assert f"overridden by {old[:7]}, by mira, because the second DAG is wrong, until the branch moves" in read_plan(
        stage
    )
    newest = stage.push_more(BRANCH, {"dags/third.py": "# 3\n"})
    (run,) = stage.plan()
    assert run.conf["job"]["head"] == newest
    run.play()
    assert {"dags/second.py", "dags/third.py"} <= stage.list_files(deployment_id).keys()
    assert stage.plan() == []


def test_resuming_a_preview_deploys_its_head_again(stage: Stage, preview: tuple[str, str, str]) -> None:
    deployment_id, old, _ = preview
    force(stage, ref=old)
    force(stage, action="resume", reason="mended elsewhere")
    assert "dags/second.py" in stage.list_files(deployment_id)
    assert stage.plan() == []


def test_another_branch_and_a_tag_can_be_deployed(stage: Stage, preview: tuple[str, str, str]) -> None:
    deployment_id, _, _ = preview
    stage.push("dev-other", {"dags/other.py": "# o\n"})
    stage.author.tag("v1")
    refs = {"dev-other": "refs/heads/dev-other", "origin/dev-other": "refs/heads/dev-other"}
    refs |= {"v1": "refs/tags/v1", "refs/tags/v1": "refs/tags/v1"}
    for ref, full in refs.items():
        run = stage.start_form(branch=BRANCH, ref=ref)
        job = run.step("claim")
        assert (job["is_override"], job["ref"]) == (True, full)
        assert not job["reason"].startswith("rollback")
        stage.airflow.states[run.run_id] = "success"
    force(stage, ref="v1")
    assert "dags/other.py" in stage.list_files(deployment_id)


def test_the_own_branch_as_ref_is_no_override(stage: Stage, preview: tuple[str, str, str]) -> None:
    job = stage.start_form(branch=BRANCH, ref=BRANCH).step("claim")
    assert (job["is_override"], job["commit"]) == (False, preview[2])


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"ref": "dev-y"}, "ref: there is no branch, tag or commit 'dev-y' in acme/data-platform; nearest: 'dev-x'"),
        ({"ref": "deadbeefdeadbeef"}, "ref: there is no branch, tag or commit 'deadbeefdeadbeef'"),
        ({"ref": "a b"}, "ref: 'a b' is no branch, tag or commit"),
        ({"wake": "yes"}, "wake: found 'yes', expected true or false"),
        ({"dry_run": 1}, "dry_run: found 1, expected true or false"),
        ({"ref": 7}, "ref: found 7, expected text"),
        ({"action": "keep", "branch": "dev-none"}, "'dev-none' has no Deployment; there is nothing to keep"),
        (
            {"create_if_missing": False},
            "create_if_missing: 'dev-x' has no Deployment, and the form forbids to make one",
        ),
    ],
)
def test_a_wrong_value_is_named(stage: Stage, form: dict[str, Any], said: str) -> None:
    stage.push(BRANCH)
    run = stage.start_form(**{"branch": BRANCH, **form})
    assert said in read_refusal(run)


def test_what_a_person_types_is_bounded_and_without_secrets(stage: Stage, preview: tuple[str, str, str]) -> None:
    token = "ghp_" + "a1" * 18
    force(stage, action="keep", reason=f"for {token}")
    kept = stage.memory.environment(BRANCH).read().kept
    assert kept.startswith("by mira: for ")
    assert token not in kept
    long = stage.start_form(branch=BRANCH, action="keep", reason="x" * (REASON_LENGTH_MAX + 1))
    assert f"expected a text of at most {REASON_LENGTH_MAX} characters" in read_refusal(long)


def test_a_forced_run_that_fails_is_shown_in_its_row_until_a_later_run(
    stage: Stage, preview: tuple[str, str, str]
) -> None:
    run = stage.start_form(branch=BRANCH, ref="dev-y", reason="INC-42")
    read_refusal(run)
    assert stage.memory.claim(BRANCH, MANUAL).read() is None, "nobody waits for it"
    read_plan(stage)
    row = stage.memory.read_rows()[BRANCH]
    assert row.state is State.FAILED
    assert row.why.startswith("deploy by mira: ref: there is no branch, tag or commit 'dev-y'")
    assert row.why.endswith("nearest: 'dev-x'")
    assert row.outcomes[-1].reason == "INC-42"
    force(stage, action="keep", reason="the demo is on Friday")
    read_plan(stage)
    assert stage.memory.read_rows()[BRANCH].state is State.LIVE


def test_keeping_is_remembered_until_somebody_resumes(stage: Stage, preview: tuple[str, str, str]) -> None:
    force(stage, action="keep", reason="the demo is on Friday")
    assert stage.memory.environment(BRANCH).read().kept == "by mira: the demo is on Friday"
    assert stage.plan() == []
    force(stage, action="resume", reason="the demo is over")
    assert stage.memory.environment(BRANCH).read().kept == ""


def test_a_hibernating_preview_is_woken_on_request_only(stage: Stage, preview: tuple[str, str, str]) -> None:
    deployment_id = preview[0]
    override = {"isHibernating": True, "isActive": True}
    stage.ask_astro("POST", f"deployments/{deployment_id}/hibernation-override", override)
    force(stage, deploy_type="dags")
    assert stage.ask_astro("GET", f"deployments/{deployment_id}")["status"] == "HIBERNATING"
    stage.sandbox.client.post("/sandbox/settings", json={"waking_s": 0}).raise_for_status()
    force(stage, deploy_type="dags", wake=True)
    assert stage.ask_astro("GET", f"deployments/{deployment_id}")["status"] == "HEALTHY"


def test_a_dry_run_of_a_new_preview_shows_template_and_change_type_and_writes_nothing(stage: Stage) -> None:
    stage.push(BRANCH)
    stage.forget_requests()
    run = force(stage, dry_run=True)
    assert (run.states["change_type"], run.states["render_template"]) == ("success", "success")
    assert (run.states["create"], run.states["deploy"]) == ("skipped", "skipped")
    assert stage.list_requests("astro", ["POST", "DELETE"]) == []
    assert [each["trigger_dag_id"] for each in stage.run_plan(stage.make_plan_task())] == ["shop.preview"]


@pytest.fixture
def targets(stage: Stage) -> dict[str, str]:
    """Return the ids of staging's and production's Deployments."""
    stage.change_project(targets={"staging": STAGING, "production": PRODUCTION})
    return {name: stage.make_deployment(name, name=name, description="") for name in ("Staging", "Production")}


@pytest.mark.usefixtures("targets")
def test_a_gated_target_is_forced_by_its_request_only(stage: Stage) -> None:
    with pytest.raises(AirflowFailException, match=r"only after approval: trigger shop.production.request instead"):
        stage.start_target_form("production", ref="main").step("claim")
    skipping = {"production": PRODUCTION.model_copy(update={"forced": "skip"})}
    stage.change_project(targets=skipping)
    assert stage.start_target_form("production", ref="main").step("claim")["target"] == "production"


@pytest.mark.usefixtures("targets")
def test_without_a_pull_request_the_ref_must_be_named(stage: Stage) -> None:
    stage.change_project(targets={"production": PRODUCTION.model_copy(update={"approval": "none"})})
    said = read_refusal(stage.start_target_form("production"))
    assert "no open pull request from astro_deploy into main; name the ref" in said


def test_a_target_is_rolled_back_to_what_it_ran_until_somebody_resumes(stage: Stage, targets: dict[str, str]) -> None:
    old = stage.push("astro_deploy", FIRST, base="origin/astro_deploy")
    play_plan(stage)
    stage.push_more("astro_deploy", SECOND)
    play_plan(stage)
    run = stage.start_target_form("staging", ref=old, reason="the second DAG is wrong")
    run.play()
    assert "dags/second.py" not in stage.list_files(targets["Staging"])
    stage.push_more("astro_deploy", {"dags/third.py": "# 3\n"})
    assert f"overridden by {old[:7]}, by mira, because the second DAG is wrong, until resumed" in read_plan(stage)
    stage.start_target_form("staging", action="resume").play()
    assert stage.memory.environment(slug_target("staging")).read().resumed
    play_plan(stage)
    assert {"dags/second.py", "dags/third.py"} <= stage.list_files(targets["Staging"]).keys()


def play_plan(stage: Stage) -> None:
    (run,) = stage.plan()
    run.play()
    assert "failed" not in run.states.values(), run.xcoms


def test_nothing_is_written_in_mode_plan_not_even_by_force(stage: Stage) -> None:
    stage.change_project(targets={"staging": Target(deployment="Staging", branch="astro_deploy")})
    stage.make_deployment("staging", name="Staging", description="")
    stage.scope = replace(stage.scope, is_dry=True)
    stage.forget_requests()
    for action in ("deploy", "resume"):
        run = stage.start_target_form("staging", action=action)
        run.play()
        assert "failed" not in run.states.values(), run.xcoms
    assert stage.list_requests("astro", ["POST", "DELETE"]) == []
    assert stage.list_requests("github", ["POST", "PUT", "PATCH", "DELETE"]) == []
    assert not stage.memory.environment(slug_target("staging")).read().resumed
