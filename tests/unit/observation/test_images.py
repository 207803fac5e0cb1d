"""The source `reuse`: a deployed image that serves the commit is copied; whatever is wrong with it, the next serves."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.errors import RetryableError
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.preview.image_sources import CANDIDATES_MAX
from include.deploy_ops.engine import installed_engine
from include.deploy_ops.hooks.registry.registry import AstroRegistryHook, RegistryHook
from sandbox.identity import ASTRO_TOKEN
from tests.sandbox.conftest import ASTRO_LOGIN
from tests.worlds.stages.stage import WRITES

if TYPE_CHECKING:
    from include.deploy_ops.hooks.registry.registry import FoundImage
    from tests.worlds.stages.fixtures import Log
    from tests.worlds.stages.stage import Run, Stage

SOURCE, BRANCH = "dev-source", "dev-x"
DAG, REQUIREMENTS = {"dags/more.py": "# more\n"}, {"requirements.txt": "# more\n"}
REFUSAL = {"errors": [{"code": "DENIED", "message": f"requested by Bearer {ASTRO_TOKEN}, denied"}]}


@pytest.fixture
def source(stage: Stage) -> dict[str, Any]:
    """Deploy a preview's image, and let the project look there first."""
    stage.make_deployment(SOURCE)
    deploy_image(stage, SOURCE, stage.push(SOURCE))
    stage.change_project(image=("reuse", stage.scope.project.image[0]))
    return stage.find_deployment(SOURCE)


def deploy_image(stage: Stage, branch: str, commit: str) -> None:
    """Deploy the image that CI built of a commit, as somebody with a CLI would."""
    deployment = stage.find_deployment(branch)
    git = {"provider": "GITHUB", "commitSha": commit}
    path = f"deployments/{deployment['id']}/deploys"
    deploy = stage.ask_astro("POST", path, {"type": "IMAGE_AND_DAG", "git": git})
    built = f"{stage.sandbox.host}/acme/data-platform:{commit}"
    RegistryHook(None).copy_image(built, f"{deploy['imageRepository']}:{deploy['imageTag']}", *ASTRO_LOGIN)
    stage.ask_astro("POST", f"{path}/{deploy['id']}/finalize", {})


def start(stage: Stage, files: dict[str, str] = DAG, base: str = f"origin/{SOURCE}") -> Run:
    """Return the run that makes the branch's preview, up to its image step."""
    run = stage.start_planned(Verb.CREATE, BRANCH, stage.push(BRANCH, files, base))
    run.step("change_type")
    run.step("render_template")
    return run


def find_image(stage: Stage, deployment: dict[str, Any]) -> FoundImage | None:
    """Return the image that a Deployment runs."""
    name = f"{deployment['imageRepository']}:{deployment['imageTag']}"
    return AstroRegistryHook(stage.scope.project.astro_conn_id).find_image(name)


def plant_in_repository(stage: Stage, deployment: dict[str, Any], method: str = "GET", **fault: Any) -> None:
    repository = re.escape(deployment["imageRepository"].partition("/")[2])
    stage.sandbox.plant(face="registry", method=method, path=f"^/v2/{repository}/", times=None, **fault)


def remove_image(stage: Stage, deployment: dict[str, Any]) -> None:
    """Delete the image with all of its tags, as a registry's retention would."""
    image = find_image(stage, deployment)
    assert image is not None
    repository = deployment["imageRepository"].partition("/")[2]
    token = stage.sandbox.get_token(f"repository:{repository}:delete", login=ASTRO_LOGIN)
    answer = stage.sandbox.client.delete(
        f"/v2/{repository}/manifests/{image.digest}", headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 202


def rename(stage: Stage, deployment: dict[str, Any], name: str) -> None:
    """Make a long-lived Deployment of a preview: nothing but its name says so."""
    stage.edit_deployment(deployment["id"], name=name, description="made by hand")


def test_a_branch_that_changes_dags_alone_runs_the_same_image(stage: Stage, source: dict[str, Any], log: Log) -> None:
    run = start(stage)
    stage.forget_requests()
    assert "failed" not in run.play().values(), run.xcoms
    taken = run.xcoms["image"]["return_value"]
    assert (taken["source"], taken["deployment"], taken["notes"]) == ("reuse", source["name"], [])
    assert taken["image"] == f"{source['imageRepository']}@{taken['digest']}"
    made = stage.find_deployment(BRANCH)
    assert made["imageRepository"] != source["imageRepository"]
    assert find_image(stage, made) == find_image(stage, source)
    assert stage.list_files(made["id"]) == stage.author.hash_files(run.conf["job"]["head"])
    moved = [each for each in stage.list_requests("registry", WRITES) if "/manifests/" not in each]
    assert moved
    assert all("mount=" in each for each in moved), "a byte was moved within one registry"
    assert stage.list_requests("registry", ["GET"]) != []
    assert not any("acme/" in each for each in stage.list_requests("registry"))
    assert f"copied {taken['image']}" in log.read()


def test_the_decision_stands_in_a_rendered_field(stage: Stage, source: dict[str, Any]) -> None:
    run = start(stage)
    run.step("image")
    shown = vars(run.tasks["image"])["decision"]
    assert shown.startswith(f"reuse for {run.conf['job']['head']}")
    assert f"image of the Deployment: {source['name']}" in shown
    assert "decision" in run.tasks["image"].template_fields


def test_a_targets_image_comes_first(stage: Stage, source: dict[str, Any]) -> None:
    rename(stage, source, "Production")
    stage.make_deployment("dev-newer")
    deploy_image(stage, "dev-newer", stage.push("dev-newer", base=f"origin/{SOURCE}"))
    assert start(stage).step("image")["deployment"] == "Production"


def test_another_image_is_left_for_the_next_source(stage: Stage, source: dict[str, Any]) -> None:
    run = start(stage, REQUIREMENTS)
    taken = run.step("image")
    assert taken["image"].endswith(f"data-platform:{run.conf['job']['head']}")
    commit = stage.list_deploys(source["id"])[0]["git"]["commitSha"]
    assert taken["notes"] == [f"reuse: {source['name']}: what changed since {commit[:12]} asks for an image"]


def test_ignored_paths_do_not_ask_for_another_image(stage: Stage, source: dict[str, Any]) -> None:
    assert start(stage, {"README.md": "more\n"}).step("image")["source"] == "reuse"


@pytest.mark.parametrize(
    ("files", "why"), [({"README.md": "more\n"}, None), (DAG, "what changed since"), (None, "its DAGs come beside")]
)
def test_where_the_image_carries_the_dags_only_the_same_dags_serve(
    files: dict[str, str] | None, why: str | None, stage: Stage, source: dict[str, Any]
) -> None:
    stage.change_project(previews={"overrides": {"configuration": {"dag_deploy_enabled": False}}})
    if files is not None:  # else the source's image holds none
        stage.edit_deployment(source["id"], isDagDeployEnabled=False)
    taken = start(stage, files or {"README.md": "more\n"}).step("image")
    assert taken["source"] == (stage.scope.project.image[1] if why else "reuse")
    assert (why or "") in "".join(taken["notes"])


def test_a_refused_pull_goes_on_with_the_next_source(stage: Stage, source: dict[str, Any], log: Log) -> None:
    plant_in_repository(stage, source, status=403, body=REFUSAL)
    taken = start(stage).step("image")
    assert taken["source"] == stage.scope.project.image[1]
    (note,) = taken["notes"]
    assert note.startswith(f"reuse: {source['name']}: its image cannot be had (The registry refused to let us pull")
    assert "***" in note
    assert ASTRO_TOKEN not in json.dumps(taken) + log.read()


def test_an_image_that_vanished_goes_on_with_the_next_source(stage: Stage, source: dict[str, Any]) -> None:
    remove_image(stage, source)
    (note,) = start(stage).step("image")["notes"]
    assert note == f"reuse: {source['name']}: its image {source['imageTag']} is not in the registry any more"


@pytest.mark.parametrize(
    "fault",
    [
        {"face": "registry", "method": "GET", "path": "^/v2/astro/", "status": 500},
        {"face": "registry", "method": "GET", "path": "^/v2/astro/", "status": 429, "headers": {"Retry-After": "900"}},
        {"face": "astro", "method": "GET", "path": "/deployments/{id}/deploys", "status": 200, "body": {"deploys": 1}},
    ],
)
def test_trouble_at_a_deployment_goes_on_with_the_next_source(
    fault: dict[str, Any], stage: Stage, source: dict[str, Any]
) -> None:
    stage.sandbox.plant(**{**fault, "path": fault["path"].format(id=source["id"])}, times=None)
    taken = start(stage).step("image")
    assert taken["source"] == stage.scope.project.image[1]
    (note,) = taken["notes"]
    assert note.startswith(f"reuse: {source['name']}: it cannot be looked at (")


def test_an_older_runtime_does_not_serve(stage: Stage, source: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    stage.change_project(image=("reuse", "build"), previews={"build": True})
    monkeypatch.setattr(installed_engine, "NAMES", ())
    run = start(stage)
    newer = run.xcoms["render_template"]["return_value"].replace("3.3-2", "3.4-1")
    run.hand("render_template", newer)
    with pytest.raises(RetryableError, match=r"reuse: .*: its runtime 3\.3-2 is older than 3\.4-1; build: no docker"):
        run.step("image")


def test_without_a_deployment_the_note_says_so(stage: Stage) -> None:
    pattern = stage.scope.project.image[0]
    stage.change_project(image=("reuse", pattern))
    assert start(stage, base="origin/main").step("image")["notes"] == [
        "reuse: no Deployment of the project runs an image yet"
    ]


def test_a_deployment_that_moves_on_meanwhile_leaves_the_image_that_was_found(
    stage: Stage, source: dict[str, Any]
) -> None:
    run = start(stage)
    found = run.step("image")
    deploy_image(stage, SOURCE, stage.push(SOURCE, REQUIREMENTS))
    assert stage.find_deployment(SOURCE)["imageTag"] != source["imageTag"]
    assert "failed" not in run.play().values(), run.xcoms
    image = find_image(stage, stage.find_deployment(BRANCH))
    assert image is not None
    assert image.digest == found["digest"]


def test_an_image_that_vanishes_before_the_copy_deploys_nothing_and_the_next_run_takes_another(
    stage: Stage, source: dict[str, Any]
) -> None:
    run = start(stage)
    run.step("image")
    run.step("create")
    remove_image(stage, source)
    with pytest.raises(RetryableError, match=r"airflow@sha256:[0-9a-f]{64} is no longer in its registry"):
        run.step("deploy")
    assert run.execute("image")["source"] == stage.scope.project.image[1]
    assert run.step("deploy")["needle"]


def test_a_handful_of_deployments_is_looked_at(stage: Stage) -> None:
    """Each of which runs an image of which no record tells the commit."""
    for number in range(CANDIDATES_MAX + 3):
        stage.make_deployment(f"dev-{number}")
    stage.change_project(image=("reuse", stage.scope.project.image[0]))
    deployments = stage.list_deployments()
    for each in deployments:
        each["imageTag"] = "deploy-1"
    answer = {"deployments": deployments, "totalCount": len(deployments), "limit": 1000, "offset": 0}
    run = start(stage, base="origin/main")
    stage.sandbox.plant(face="astro", method="GET", path=r"/deployments\?", status=200, body=answer)
    stage.forget_requests()
    (note,) = run.step("image")["notes"]
    assert note.endswith("; 3 more")
    assert note.count("no deploy record says which commit its image is of") == CANDIDATES_MAX
    looks = [each for each in stage.list_requests("astro", ["GET"]) if "/deploys" in each]
    assert len(looks) == CANDIDATES_MAX
