"""The image step: the first source that can serve, awaited without a worker slot, found before anything is created."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred

from include.deploy_ops.core.errors import PermanentError, RetryableError
from include.deploy_ops.core.model import ChangeType
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.operators.deploy.image import FindImageOperator
from include.deploy_ops.run.job import Job
from include.deploy_ops.triggers.image import ImageAvailableTrigger
from sandbox.identity import REGISTRY_PASSWORD, REGISTRY_USER, RUNTIME_VERSION
from tests.worlds.stages.stage import await_event
from tests.worlds.values.examples import make_project

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Run, Stage

BRANCH = "dev-x"
BUILT = {"source": "build", "engine": "podman 4.3.1", "commit": "1" * 40, "origin": "preview"}
REQUIREMENTS = {"requirements.txt": "# more\n"}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the only folder in the worker's PATH, empty."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    return tmp_path


def install_podman(path: Path) -> None:
    path.joinpath("podman").write_text("#!/bin/sh\necho 4.3.1\n")
    path.joinpath("podman").chmod(0o755)


def set_sandbox(stage: Stage, **settings: Any) -> None:
    assert stage.sandbox.client.post("/sandbox/settings", json=settings).is_success


def name_image(stage: Stage, commit: str) -> str:
    return f"{stage.sandbox.host}/acme/data-platform:{commit}"


def start(stage: Stage, head: str) -> Run:
    run = stage.start_planned(Verb.CREATE, BRANCH, head)
    run.step("change_type")
    run.step("render_template")
    return run


def fail(run: Run) -> str:
    """Return what the step says when it finds no image; the world may have one later."""
    with pytest.raises(RetryableError) as caught:
        run.execute("image")
    assert not run.read_failure("image")["is_permanent"]
    return str(caught.value)


def time_out(run: Run, stage: Stage, notes: list[str] | None = None) -> Any:
    """Resume the step as after a wait in vain for the first source."""
    event = {"state": "timeout", "detail": "the registry has none of them"}
    return run.resume("image", "resume", event=event, source=stage.scope.project.image[0], notes=notes or [])


def test_the_commits_own_image_is_taken(stage: Stage) -> None:
    head = stage.push(BRANCH, REQUIREMENTS)
    run = start(stage, head)
    stage.forget_requests()
    found = run.step("image")
    assert stage.list_requests("github") == [], "what came before the commit matters where it has no image"
    assert found.pop("digest").startswith("sha256:")
    assert found == {
        "source": stage.scope.project.image[0],
        "commit": head,
        "image": name_image(stage, head),
        "runtime_version": RUNTIME_VERSION,
        "notes": [],
        "origin": "preview",
    }


def test_an_ancestors_image_serves_what_changed_only_dags(stage: Stage) -> None:
    set_sandbox(stage, ci_fails=True)
    base = stage.author.git("rev-parse", "origin/main")
    stage.push(BRANCH)
    head = stage.push_more(BRANCH, {"README.md": "more\n"})
    assert start(stage, head).step("image")["image"] == name_image(stage, base)


def test_an_ancestor_beyond_an_image_change_does_not_serve(stage: Stage) -> None:
    set_sandbox(stage, ci_fails=True)
    first = stage.push(BRANCH, REQUIREMENTS)
    head = stage.push_more(BRANCH, {"dags/more.py": "# more\n"})
    with pytest.raises(TaskDeferred) as deferred:
        start(stage, head).execute("image")
    assert deferred.value.trigger.serialize()[1]["candidates"] == [name_image(stage, head), name_image(stage, first)]


def test_where_the_image_carries_the_dags_an_ancestors_is_another_code(stage: Stage) -> None:
    set_sandbox(stage, ci_fails=True)
    stage.change_project(previews={"overrides": {"configuration": {"dag_deploy_enabled": False}}})
    head = stage.push(BRANCH)
    with pytest.raises(TaskDeferred) as deferred:
        start(stage, head).execute("image")
    assert deferred.value.trigger.serialize()[1]["candidates"] == [name_image(stage, head)]


def test_a_deployment_without_dag_deploys_takes_no_ancestors_image(stage: Stage) -> None:
    set_sandbox(stage, ci_fails=True)
    deployment_id = stage.make_deployment(BRANCH, isDagDeployEnabled=False)
    head = stage.push(BRANCH)
    run = stage.start_planned(Verb.DEPLOY, BRANCH, head, deployment_id)
    run.step("change_type")
    with pytest.raises(TaskDeferred) as deferred:
        run.execute("image")
    assert deferred.value.trigger.serialize()[1]["candidates"] == [name_image(stage, head)]


def test_an_image_that_ci_still_builds_is_awaited(stage: Stage) -> None:
    set_sandbox(stage, ci_fails=True)
    stage.change_project(image_timeout_s=600)
    head = stage.push(BRANCH, REQUIREMENTS)
    with pytest.raises(TaskDeferred) as caught:
        start(stage, head).execute("image")
    trigger = caught.value.trigger
    assert isinstance(trigger, ImageAvailableTrigger)
    assert trigger.candidates == [name_image(stage, head)]
    assert trigger.registry_conn_id is None
    left = datetime.fromisoformat(trigger.deadline) - datetime.now(UTC)
    assert timedelta(seconds=560) < left <= timedelta(seconds=600)
    assert (caught.value.method_name, caught.value.kwargs) == (
        "resume",
        {"source": stage.scope.project.image[0], "notes": [], "deadline": trigger.deadline},
    )
    bases = {name: stage.author.git("rev-parse", f"origin/{name}") for name in ("staging", "main")}
    assert trigger.heads == {BRANCH: head, **bases}  # into these a merge ends the preview


def await_image(stage: Stage, files: dict[str, str]) -> tuple[Run, TaskDeferred]:
    """Return a run of the branch that waits for the CI, which fails."""
    set_sandbox(stage, ci_fails=True)
    run = start(stage, stage.push(BRANCH, files))
    with pytest.raises(TaskDeferred) as caught:
        run.execute("image")
    return run, caught.value


def test_a_wait_for_a_head_that_moved_ends_as_superseded(stage: Stage) -> None:
    run, parked = await_image(stage, REQUIREMENTS)
    later = stage.push_more(BRANCH, {"dags/more.py": "# more\n"})
    with pytest.raises(AirflowSkipException, match=f"superseded: {BRANCH} moved .* to {later[:12]}"):
        run.resume("image", "resume", event=await_event(parked), **(parked.kwargs or {}))


def test_a_wait_for_a_branch_that_is_gone_ends_as_superseded(stage: Stage) -> None:
    run, parked = await_image(stage, REQUIREMENTS)
    stage.author.git("push", "--quiet", "origin", f":refs/heads/{BRANCH}")
    with pytest.raises(AirflowSkipException, match=f"superseded: branch {BRANCH} is gone"):
        run.resume("image", "resume", event=await_event(parked), **(parked.kwargs or {}))


def test_a_wait_for_a_head_that_was_merged_ends_as_superseded(stage: Stage) -> None:
    run, parked = await_image(stage, REQUIREMENTS)
    stage.merge(BRANCH)
    with pytest.raises(AirflowSkipException, match="superseded: pull request #"):
        run.resume("image", "resume", event=await_event(parked), **(parked.kwargs or {}))


def test_a_move_that_ends_nothing_lets_it_wait_on_until_the_same_time(stage: Stage) -> None:
    run, parked = await_image(stage, REQUIREMENTS)
    event = {"state": "moved", "detail": "staging moved from 000000000000"}
    with pytest.raises(TaskDeferred) as again:
        run.resume("image", "resume", event=event, **(parked.kwargs or {}))
    assert again.value.kwargs == parked.kwargs


def test_the_awaited_image_is_taken_when_it_comes(stage: Stage) -> None:
    set_sandbox(stage, ci_delay_s=600)
    stage.author.start_branch(BRANCH)
    head = stage.author.commit(REQUIREMENTS, "Need more")
    stage.author.push(BRANCH)
    run = start(stage, head)
    with pytest.raises(TaskDeferred) as deferred:
        run.execute("image")
    set_sandbox(stage, ci_delay_s=0)
    stage.author.git("push", "--quiet", "origin", f"{head}:refs/heads/other")  # CI builds it for this one at once
    event = await_event(deferred.value)
    assert event == {"state": "found", "image": name_image(stage, head)}
    found = run.resume("image", "resume", event=event, **(deferred.value.kwargs or {}))
    assert (found["image"], found["runtime_version"]) == (name_image(stage, head), RUNTIME_VERSION)


def test_an_awaited_image_that_vanished_again_is_tried_again(stage: Stage) -> None:
    run = start(stage, stage.push(BRANCH, REQUIREMENTS))
    gone = name_image(stage, "0" * 40)
    with pytest.raises(RetryableError, match="was there and vanished; look at the registry's retention"):
        run.resume("image", "resume", event={"state": "found", "image": gone}, source="gone", notes=[])


def test_after_a_wait_in_vain_the_next_source_serves(stage: Stage, path: Path) -> None:
    install_podman(path)
    stage.change_project(image=(stage.scope.project.image[0], "build"), previews={"build": True})
    run = stage.start_planned(Verb.DEPLOY, BRANCH, "1" * 40, "clsome")
    pattern = stage.scope.project.image[0]
    notes = [f"{pattern}: the registry has none of them"]
    assert time_out(run, stage) == {**BUILT, "notes": notes}


def test_a_source_that_left_the_policy_meanwhile_starts_the_list_anew(stage: Stage) -> None:
    head = stage.push(BRANCH, REQUIREMENTS)
    event = {"state": "timeout", "detail": "gone"}
    found = start(stage, head).resume("image", "resume", event=event, source="old.example/x:{sha}", notes=[])
    assert found["image"] == name_image(stage, head)


def test_after_a_wait_in_vain_the_next_registry_is_asked(stage: Stage) -> None:
    pattern = stage.scope.project.image[0]
    stage.change_project(image=(f"{stage.sandbox.host}/acme/elsewhere:{{sha}}", pattern))
    head = stage.push(BRANCH, REQUIREMENTS)
    run = start(stage, head)
    found = time_out(run, stage, ["an earlier note"])
    assert (found["source"], found["image"]) == (pattern, name_image(stage, head))
    assert found["notes"][0] == "an earlier note"
    assert found["notes"][1].endswith("elsewhere:{sha}: the registry has none of them")


def test_without_any_source_the_run_says_what_to_do(stage: Stage, path: Path) -> None:
    stage.change_project(image=(stage.scope.project.image[0], "build"), previews={"build": True})
    run = stage.start_planned(Verb.DEPLOY, BRANCH, "1" * 40, "clsome")
    with pytest.raises(RetryableError) as caught:
        time_out(run, stage)
    said = str(caught.value)
    assert said.startswith("no image for 111111111111: ")
    assert "the registry has none of them" in said
    assert "build: no docker or podman on this worker's PATH" in said
    assert "Let the repository's CI push one, add a source to the project's `image` list" in said


def test_build_alone_needs_an_engine(stage: Stage, path: Path) -> None:
    stage.change_project(image=("build",), previews={"build": True})
    run = stage.start_planned(Verb.DEPLOY, BRANCH, "1" * 40, stage.make_deployment(BRANCH))
    run.decide(ChangeType.IMAGE, "1" * 40)
    assert "no docker or podman" in fail(run)
    install_podman(path)
    assert run.step("image") == {**BUILT, "notes": []}


def find_ban(stage: Stage, path: Path, *image: str) -> dict[str, Any]:
    """Play a preview's image step where an engine is and the policy does not let previews build; return its failure."""
    install_podman(path)
    stage.change_project(image=image)
    run = stage.start_planned(Verb.DEPLOY, BRANCH, "1" * 40, stage.make_deployment(BRANCH))
    run.decide(ChangeType.IMAGE, "1" * 40)
    with pytest.raises((AirflowFailException, RetryableError)):
        time_out(run, stage) if "{sha}" in image[0] else run.execute("image")
    return run.read_failure("image")


def test_a_preview_that_could_only_be_built_fails_for_good_and_the_policys_key_is_named(
    stage: Stage, path: Path
) -> None:
    failure = find_ban(stage, path, "reuse", "build")
    assert failure["is_permanent"]
    assert "reuse: no Deployment of the project runs an image yet; build: `previews.build` is not" in failure["cause"]
    assert "set `previews.build: true`" in failure["cause"]


def test_a_preview_whose_image_the_ci_may_still_push_is_tried_again(stage: Stage, path: Path) -> None:
    failure = find_ban(stage, path, stage.scope.project.image[0], "build")
    assert not failure["is_permanent"]
    assert "set `previews.build: true`" in failure["cause"]


def test_a_source_behind_a_build_that_is_not_allowed_serves(stage: Stage) -> None:
    stage.change_project(image=("build", stage.scope.project.image[0]))
    head = stage.push(BRANCH, REQUIREMENTS)
    found = start(stage, head).step("image")
    assert found["image"] == name_image(stage, head)
    assert "`previews.build` is not true" in found["notes"][0]


def test_a_refused_pull_fails_before_anything_is_created(stage: Stage) -> None:
    set_sandbox(stage, registry_auth="private")
    run = start(stage, stage.push(BRANCH, REQUIREMENTS))
    said = fail(run)
    assert f"{stage.scope.project.image[0]}: The registry refused to let us pull" in said
    assert ".." not in said
    assert set(run.play().items()) >= {("create", "upstream_failed"), ("deploy", "upstream_failed")}
    assert stage.list_deployments() == []


def test_the_registrys_connection_opens_a_private_registry(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    set_sandbox(stage, registry_auth="private")
    login = {"conn_type": "docker", "login": REGISTRY_USER, "password": REGISTRY_PASSWORD}
    monkeypatch.setenv("AIRFLOW_CONN_CI_REGISTRY", json.dumps(login))
    stage.change_project(registry_conn_id="ci_registry")
    head = stage.push(BRANCH, REQUIREMENTS)
    deployment_id = stage.create_preview(BRANCH, head)
    assert stage.list_files(deployment_id) == stage.author.hash_files(head)


def test_a_dag_deploy_needs_no_image(stage: Stage) -> None:
    run = stage.start_planned(Verb.DEPLOY, BRANCH, "1" * 40, "clsome")
    run.decide(ChangeType.DAGS, "1" * 40)
    with pytest.raises(AirflowSkipException, match="no image needed: dags"):
        run.step("image")


@pytest.mark.parametrize(("target", "error"), [("production", RetryableError), ("", PermanentError)])
def test_another_targets_image_may_serve_a_release_a_moment_later(target: str, error: type[Exception]) -> None:
    """Production is deployed to after approval, so that nothing is built for it either."""
    production = make_project().targets["production"].model_copy(update={"approval": "required"})
    project = make_project(image=("reuse", "build"), targets={"production": production})
    scope: Any = SimpleNamespace(fleet=Asset("fleet"), project=project, target=project.targets.__getitem__)
    task = FindImageOperator(task_id="image", scope=scope)
    job = Job(Verb.DEPLOY, "dev-x", "a" * 40, "shop-dev-x", "cl1", "why", target=target)
    assert type(task._explain_failure(job, ["reuse: none", "build: not here"])) is error
