"""What somebody changes in Astro is seen: it is told, and of a preview repaired, once, where the policy wants that."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.errors import RetryableError
from include.deploy_ops.core.plan.remembered import REPAIRED_MAX
from include.deploy_ops.hooks.astro.cli import AstroCli
from tests.worlds.stages.pages import fold_page
from tests.worlds.stages.spending import spend
from tests.worlds.stages.stage import AWAIT_S, WRITES

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Run, Stage

BRANCH = "dev-x"
MEDIUM = "scheduler_size MEDIUM in Astro, SMALL here"
KEPT = "scheduler_size: Astro keeps MEDIUM, SMALL here"
REPORTED = f"| {BRANCH} | scheduler_size | MEDIUM | SMALL | reported |"


@pytest.fixture
def preview(stage: Stage) -> str:
    """Give a preview that our own runs made, of which the passes know all; its Deployment's id."""
    deployment_id = stage.create_preview(BRANCH, stage.push(BRANCH))
    for _ in range(2):
        assert stage.plan() == []
    return deployment_id


def want_repair(stage: Stage) -> None:
    stage.change_project(previews={"drift": "repair"})


def read_drift(stage: Stage, slug: str = BRANCH) -> tuple[str, ...]:
    row = stage.memory.read_row(slug)
    assert row is not None
    return row.drift


def read_plan(stage: Stage) -> str:
    """Return the page of one more pass, which starts nothing."""
    task = stage.make_plan_task()
    assert stage.run_plan(task) == []
    return fold_page(task.plan)


def repair(stage: Stage) -> Run:
    """Make a pass that plans one run, which repairs, and play it."""
    (run,) = stage.plan()
    assert run.conf["job"]["verb"] == "update"
    assert "failed" not in run.play().values(), run.xcoms
    return run


def test_what_our_own_runs_made_differs_in_nothing(stage: Stage, preview: str) -> None:
    assert stage.find_deployment(BRANCH)["id"] == preview
    assert read_drift(stage) == ()
    assert "Drift" not in read_plan(stage)
    want_repair(stage)
    assert stage.plan() == []


def test_a_change_by_hand_is_told_and_left(stage: Stage, preview: str) -> None:
    stage.edit_deployment(preview, schedulerSize="MEDIUM")
    assert REPORTED in read_plan(stage)
    assert read_drift(stage) == (MEDIUM,)
    assert stage.find_deployment(BRANCH)["schedulerSize"] == "MEDIUM"


def test_a_change_by_hand_is_repaired_where_the_policy_wants_it(stage: Stage, preview: str) -> None:
    want_repair(stage)
    stage.edit_deployment(preview, schedulerSize="MEDIUM", isHighAvailability=True)
    run = repair(stage)
    assert run.conf["job"]["reason"] == f"{MEDIUM}; is_high_availability true in Astro, false here"
    found = stage.find_deployment(BRANCH)
    assert (found["schedulerSize"], found["isHighAvailability"]) == ("SMALL", False)
    assert stage.plan() == []
    assert read_drift(stage) == ()


def test_a_preview_that_hibernates_is_repaired_once_it_wakes(stage: Stage, preview: str) -> None:
    want_repair(stage)
    stage.edit_deployment(preview, schedulerSize="MEDIUM")
    override = f"deployments/{preview}/hibernation-override"
    stage.ask_astro("POST", override, {"isHibernating": True})
    assert REPORTED in read_plan(stage)
    assert read_drift(stage) == (MEDIUM,)
    stage.ask_astro("DELETE", override)
    deadline = time.monotonic() + AWAIT_S
    while stage.find_deployment(BRANCH)["status"] == "HIBERNATING":
        assert time.monotonic() < deadline, "it never woke"
    assert repair(stage).conf["job"]["reason"] == MEDIUM


def test_the_same_difference_is_never_repaired_twice_and_another_one_is(stage: Stage, preview: str) -> None:
    want_repair(stage)
    stage.edit_deployment(preview, schedulerSize="MEDIUM")
    repair(stage)
    stage.edit_deployment(preview, schedulerSize="MEDIUM")
    for _ in range(3):
        assert "Astro keeps it" in read_plan(stage)
    assert read_drift(stage) == (KEPT,)
    stage.push_more(BRANCH, {"dags/more.py": "# more\n"})
    for run in stage.plan():  # under another name of the work it is the same difference
        assert run.conf["job"]["verb"] == "deploy"
        assert "failed" not in run.play().values(), run.xcoms
    assert stage.plan() == []
    stage.edit_deployment(preview, schedulerSize="LARGE")
    assert repair(stage).conf["job"]["reason"] == "scheduler_size LARGE in Astro, SMALL here"


def test_a_person_has_what_astro_keeps_laid_anew_by_the_form(stage: Stage, preview: str) -> None:
    want_repair(stage)
    stage.edit_deployment(preview, schedulerSize="MEDIUM")
    repair(stage)
    stage.edit_deployment(preview, schedulerSize="MEDIUM")
    assert stage.plan() == []
    assert stage.start_form(branch=BRANCH, action="refresh").play()["update"] == "success"
    assert stage.find_deployment(BRANCH)["schedulerSize"] == "SMALL"


def test_a_repair_that_failed_is_none(stage: Stage, preview: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RetryableError("Astro does not answer")

    want_repair(stage)
    stage.edit_deployment(preview, schedulerSize="MEDIUM")
    (run,) = stage.plan()
    with monkeypatch.context() as patch:
        patch.setattr(AstroCli, "update", fail)
        assert run.play()["update"] == "failed"
    assert stage.memory.environment(BRANCH).read().repaired == {}
    stage.plan()
    assert read_drift(stage) == (MEDIUM,)


def test_an_update_for_another_reason_notes_no_repair_of_what_the_template_changed(stage: Stage, preview: str) -> None:
    want_repair(stage)
    stage.change_project(previews={"overrides": {"configuration": {"scheduler_size": "MEDIUM"}}})
    assert repair(stage).conf["job"]["reason"] == "the template changed"
    assert stage.memory.environment(BRANCH).read().repaired == {}
    stage.edit_deployment(preview, schedulerSize="SMALL")
    assert repair(stage).conf["job"]["reason"] == "scheduler_size SMALL in Astro, MEDIUM here"


def test_what_no_update_changes_is_told_and_not_tried(stage: Stage, preview: str) -> None:
    want_repair(stage)
    known = stage.ask_astro("GET", "deployments?limit=1000")
    for each in known["deployments"]:
        each["isDevelopmentMode"] = each["id"] != preview and each["isDevelopmentMode"]
    stage.sandbox.plant(face="astro", path=r"/deployments\?", method="GET", status=200, body=known, times=None)
    page = read_plan(stage)
    assert f"| {BRANCH} | is_development_mode | false | true | reported: an update does not change it |" in page


def test_values_of_variables_are_nowhere(stage: Stage, preview: str) -> None:
    want_repair(stage)
    stage.edit_deployment(preview, environmentVariables=[{"key": "STAGE", "value": "hush-hush", "isSecret": False}])
    task = stage.make_plan_task()
    (dispatched,) = stage.run_plan(task)
    run = stage.start_dispatched(dispatched)
    assert run.conf["job"]["reason"] == "environment_variables.STAGE differs"
    told = f"| {BRANCH} | environment_variables.STAGE | another value | not shown | to be repaired |"
    assert told in fold_page(task.plan)
    assert "failed" not in run.play().values(), run.xcoms
    assert stage.plan() == []
    (variable,) = stage.find_deployment(BRANCH)["environmentVariables"]
    assert variable["value"] == "preview"
    left = f"{[store.values for store in stage.stores.values()]} {run.xcoms} {run.conf} {run.run_id} {task.plan}"
    assert "hush-hush" not in left


def test_what_a_person_added_is_no_drift(stage: Stage, preview: str) -> None:
    want_repair(stage)
    mine = {"key": "MINE", "value": "1", "isSecret": False}
    stage.edit_deployment(
        preview,
        environmentVariables=[{"key": "STAGE", "value": "preview", "isSecret": False}, mine],
        contactEmails=["data-platform@acme.example", "mira@acme.example"],
    )
    assert stage.plan() == []
    assert read_drift(stage) == ()


def test_it_costs_no_request(stage: Stage, preview: str) -> None:
    store = stage.stores[stage.scope.fleet.name]
    without = spend(stage, stage.plan)
    store.asked = 0
    stage.plan()
    asked = store.asked
    want_repair(stage)
    store.asked = 0
    assert spend(stage, stage.plan) == without
    assert store.asked == asked
    stage.change_project(previews={"drift": "report"})
    stage.edit_deployment(preview, schedulerSize="MEDIUM")
    assert stage.plan() == []  # reads the records of what moved
    store.asked = 0
    assert spend(stage, stage.plan) == without
    assert store.asked == asked
    assert read_drift(stage) == (MEDIUM,)


@pytest.mark.parametrize("mode", ["plan", "paused"])
def test_a_repair_is_held_as_any_update(stage: Stage, preview: str, mode: str) -> None:
    want_repair(stage)
    stage.edit_deployment(preview, schedulerSize="MEDIUM")
    if mode == "plan":
        stage.scope = replace(stage.scope, is_dry=True)
        said = "mode: plan, nothing is written"
    else:
        stage.airflow.paused.add(stage.scope.preview_dag)
        said = "paused"
    stage.forget_requests()
    page = read_plan(stage)
    (held,) = [line for line in page.splitlines() if line.startswith(f"| hold | {BRANCH} | update |")]
    assert said in held
    assert stage.list_requests("astro", WRITES) == []
    assert stage.find_deployment(BRANCH)["schedulerSize"] == "MEDIUM"


def test_what_is_remembered_of_repairs_is_bounded(stage: Stage, preview: str) -> None:
    assert preview
    slot = stage.memory.environment(BRANCH)
    known = slot.read()
    for number in range(REPAIRED_MAX + 5):
        known = known.add_repaired([f"seal-{number}"], datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number))
    slot.write(known)
    assert len(slot.read().repaired) == REPAIRED_MAX
    assert "seal-0" not in slot.read().repaired


# Targets


TEMPLATE = "deployments/production.yaml"
SOURCE = "deployments/preview.yaml"


def name_template(stage: Stage, path: str) -> None:
    targets = stage.scope.project.targets
    stage.change_project(targets={"production": targets["production"].model_copy(update={"template": path})})


def make_production(stage: Stage, **changes: Any) -> str:
    return stage.make_deployment("production", name="Production", description="ours", **changes)


def test_a_target_is_compared_with_its_template_and_never_written(stage: Stage) -> None:
    make_production(stage, schedulerSize="LARGE", environmentVariables=[])
    name_template(stage, SOURCE)
    stage.forget_requests()
    page = read_plan(stage)
    assert "| production | scheduler_size | LARGE | SMALL | reported |" in page
    assert "| production | environment_variables.STAGE | missing | present | reported |" in page
    assert "scheduler_size LARGE in Astro, SMALL here" in read_drift(stage, "target.production")
    want_repair(stage)
    assert stage.plan() == []
    assert stage.list_requests("astro", WRITES) == []


def test_without_a_template_a_target_is_not_compared(stage: Stage) -> None:
    make_production(stage, schedulerSize="LARGE")
    assert "Drift" not in read_plan(stage)
    assert read_drift(stage, "target.production") == ()


def test_a_template_that_is_missing_is_told_and_stops_nothing(stage: Stage) -> None:
    make_production(stage)
    name_template(stage, TEMPLATE)
    stage.push(BRANCH)
    task = stage.make_plan_task()
    assert [each["conf"]["job"]["verb"] for each in stage.run_plan(task)] == ["create"]
    page = " ".join(task.plan.split())
    assert "whether production differs in Astro from its template is not known" in page
    assert "there is no such file" in page


def test_a_targets_template_is_read_once_for_a_head_of_trunk(stage: Stage) -> None:
    make_production(stage)
    for _ in range(2):
        stage.plan()
    without = spend(stage, stage.plan)
    name_template(stage, SOURCE)
    assert spend(stage, stage.plan).github > without.github
    assert spend(stage, stage.plan) == without
