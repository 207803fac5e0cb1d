"""The render step: the template as it stands on trunk, checked against Astro's options before anything is created."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.deploy_ops.core.errors import ObservationError, RetryableError
from include.deploy_ops.core.naming import parse_mark
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.run.memory import KnownRepository
from sandbox.identity import WORKSPACE_NAME

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Run, Stage

BRANCH = "dev-x"
TEMPLATE = "deployments/preview.yaml"
QUEUE = {"name": "default", "worker_type": "A5", "min_worker_count": 0, "max_worker_count": 5, "worker_concurrency": 5}


def start(stage: Stage) -> Run:
    return stage.start_planned(Verb.CREATE, BRANCH, stage.push(BRANCH))


def fail(stage: Stage) -> str:
    """Return what the step says when it fails for good."""
    return _fail(start(stage), AirflowFailException, is_permanent=True)


def fail_broken(stage: Stage) -> str:
    """Return what the step says of a template that broke after the pass: it comes again, unless a person forced it."""
    head = stage.push(BRANCH)
    said = _fail(stage.start_planned(Verb.CREATE, BRANCH, head), RetryableError, is_permanent=False)
    stage.airflow.states.clear()  # that run ended
    forced = stage.start_form(branch=BRANCH)
    forced.step("claim")
    told = _fail(forced, AirflowFailException, is_permanent=True)
    assert said == f"the template broke since this was planned: {told}"
    return told


def _fail(run: Run, error: type[Exception], *, is_permanent: bool) -> str:
    with pytest.raises(error) as caught:
        run.step("render_template")
    assert run.read_failure("render_template")["is_permanent"] is is_permanent
    return str(caught.value)


def test_the_document_is_the_template_with_name_mark_and_overrides(stage: Stage) -> None:
    stage.change_project(previews={"overrides": {"configuration": {"scheduler_size": "MEDIUM"}}})
    run = start(stage)
    text = run.step("render_template")
    assert run.tasks["render_template"].document == text  # type: ignore[attr-defined]
    body = yaml.safe_load(text)["deployment"]
    configuration = body["configuration"]
    assert configuration["name"] == "shop-dev-x"
    assert configuration["workspace_name"] == WORKSPACE_NAME
    assert configuration["scheduler_size"] == "MEDIUM"
    assert configuration["description"].startswith("Reference for the preview Deployments of dev branches [")
    mark = parse_mark(configuration["description"])
    assert mark is not None
    assert (mark.control_plane, mark.project, mark.branch) == ("acme-test", "shop", BRANCH)
    assert [(each["key"], each["value"]) for each in body["environment_variables"]] == [("STAGE", "preview")]
    assert body["alert_emails"] == ["data-platform@acme.example"]


def test_the_branchs_own_template_does_not_count(stage: Stage) -> None:
    head = stage.push(BRANCH, {TEMPLATE: "nonsense: ["})
    text = stage.start_planned(Verb.CREATE, BRANCH, head).step("render_template")
    assert yaml.safe_load(text)["deployment"]["configuration"]["executor"] == "CELERY"


def test_a_missing_template_is_named_with_what_makes_one(stage: Stage) -> None:
    stage.change_project(previews={"template": "deployments/none.yaml"})
    said = fail_broken(stage)
    assert said.startswith("acme/data-platform/deployments/none.yaml on main: there is no such file")
    assert "astro deployment inspect" in said
    assert "previews.template" in said


def test_an_unknown_key_is_named_with_its_file_and_the_nearest(stage: Stage) -> None:
    stage.push("main", {TEMPLATE: "    worker_queue: []\n"})
    said = fail_broken(stage)
    assert said.startswith(f"acme/data-platform/{TEMPLATE} on main: deployment.worker_queue: ")
    assert "worker_queues" in said


def test_a_template_that_is_no_yaml_is_named(stage: Stage) -> None:
    stage.push("main", {TEMPLATE: "  - [\n"})
    assert fail_broken(stage).startswith(f"acme/data-platform/{TEMPLATE} on main: ")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"worker_queues": [{**QUEUE, "worker_type": "A7"}]}, "worker_type: found 'A7', which Astro does not offer"),
        ({"worker_queues": [{**QUEUE, "max_worker_count": 5000}]}, "max_worker_count: found 5000, expected 1 to"),
        (
            {"configuration": {"runtime_version": "3.3-1x"}},
            "deployment.configuration.runtime_version: found '3.3-1x'",
        ),
    ],
)
def test_what_astro_does_not_offer_is_refused_before_the_cli(
    stage: Stage, overrides: dict[str, Any], said: str
) -> None:
    stage.change_project(previews={"overrides": overrides})
    assert said in fail(stage)
    assert stage.list_deployments() == []


def test_a_missing_trunk_may_come_back(stage: Stage) -> None:
    run = start(stage)
    stage.change_project(trunk="gone")
    with pytest.raises(ObservationError, match="heads/gone answered HTTP 404: the policy names no such branch"):
        run.step("render_template")
    assert not run.read_failure("render_template")["is_permanent"]


def test_an_update_of_a_gone_deployment_is_superseded(stage: Stage) -> None:
    run = stage.start_planned(Verb.UPDATE, BRANCH, stage.push(BRANCH), "clgone")
    with pytest.raises(AirflowSkipException, match="superseded: Deployment clgone is gone"):
        run.step("render_template")


def test_a_deploy_renders_nothing(stage: Stage) -> None:
    run = stage.start_planned(Verb.DEPLOY, BRANCH, stage.push(BRANCH), "clsome")
    with pytest.raises(AirflowSkipException, match="this run is to deploy"):
        run.step("render_template")


def test_the_template_of_another_repository_that_has_the_name_is_not_rendered(stage: Stage) -> None:
    run = start(stage)
    stage.memory.repository.write(KnownRepository(1, stage.scope.project.repository))
    with pytest.raises(ObservationError, match="another repository than before"):
        run.step("render_template")
