"""The product's own calls of the CLI, run against the stand-in: what each asks of Astro, and what its ending means.

With ASTRO_CLI they run the real CLI. An upload that is tried again for eight seconds is in the faults' table instead.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.core.errors import DeployOpsError
from include.deploy_ops.core.model import ChangeType
from include.deploy_ops.hooks.astro.cli import AstroCli
from sandbox.identity import ASTRO_TOKEN, ORGANIZATION_ID, WORKSPACE_ID
from tests.sandbox.cli.case import (
    CREATED,
    DEPLOYED,
    MEANINGS,
    NAMES,
    QUEUE,
    UPDATED,
    add_big_file,
    add_engine,
    break_build,
    create_half,
    delete_one_of_two,
    label,
    leave_project,
    make_deployment,
    make_token,
    plant,
    refuse_login,
    take_token,
    without_dag_deploys,
    write_file,
)
from tests.sandbox.cli.stage import ASTRO, OTHER_CLI, Stage
from tests.worlds.doubles.worker import forbid_confinement

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.sandbox.cli.case import Given, Meaning

    Call = Callable[[AstroCli, Stage], object]


def create(cli: AstroCli, stage: Stage) -> str:
    return cli.create(stage.file.read_text())


def update(cli: AstroCli, stage: Stage) -> None:
    cli.update(stage.id, stage.file.read_text())


def deploy_dags(cli: AstroCli, stage: Stage) -> str:
    return cli.deploy(stage.id, cwd=stage.project, kind=ChangeType.DAGS, description="--d").last_line


def deploy_image(image_name: str | None = None) -> Call:
    def call(cli: AstroCli, stage: Stage) -> str:
        kind = ChangeType.IMAGE
        return cli.deploy(stage.id, cwd=stage.project, kind=kind, description="d", image_name=image_name).last_line

    return call


def delete(cli: AstroCli, stage: Stage) -> str:
    return cli.delete(stage.id).last_line


def hibernate(cli: AstroCli, stage: Stage) -> str:
    return cli.hibernate(stage.id).last_line


def wake_up(for_: timedelta | None = None) -> Call:
    return lambda cli, stage: cli.wake_up(stage.id, for_).last_line


def set_id(deployment_id: str) -> Given:
    return lambda stage: setattr(stage, "id", deployment_id)


def make_other(name: str) -> Given:
    """Make one more Deployment, which does not become the stage's own."""

    def make(stage: Stage) -> None:
        own = stage.id
        stage.create(name=name)
        stage.id = own

    return make


def make_no_development(stage: Stage) -> None:
    stage.create(isDevelopmentMode=False)


@dataclass(frozen=True)
class HookCase:
    """A call of the hook, the requests that it leads to, what its ending means, and words that the caller is told."""

    name: str
    call: Call
    requests: str
    means: Meaning
    told: str = ""
    given: tuple[Given, ...] = ()
    workspace: str = WORKSPACE_ID


NOT_CREATED = "orgs workspaces list options options-aws create"
IMAGE = "orgs get deploy options"
TO_DEVELOPMENT = "orgs list get override"
NAMED = deploy_image("localhost/ci-built:1")
CASES = (
    HookCase("version", lambda cli, _: cli.version(), "", "success", "1.45.0"),
    HookCase("create", create, CREATED, "success", "cl", (write_file(),)),
    HookCase("create again", create, "orgs workspaces list", "exists", "dev-x", (make_deployment, write_file())),
    HookCase("create after half a one", create, "orgs workspaces list", "exists", "dev-x", (write_file(), create_half)),
    HookCase("create, wrong executor", create, "orgs", "holds", "executor X is not", (write_file(executor="X"),)),
    HookCase("create, no name", create, "orgs", "holds", "configuration.name", (write_file(name=None),)),
    HookCase(
        "create, wrong worker",
        create,
        "orgs workspaces list options",
        "holds",
        "between 1 and 0",
        (write_file(worker_queues=[QUEUE]),),
    ),
    HookCase(
        "create is refused",
        create,
        NOT_CREATED,
        "again",
        "planted",
        (write_file(), plant("POST .*/deployments$", 429)),
    ),
    HookCase("create drops", create, NOT_CREATED, "again", "EOF", (write_file(), plant("POST .*/deployments$", None))),
    HookCase(
        "create breaks off half-way",
        create,
        NOT_CREATED + " list get options update",
        "again",
        "planted",
        (write_file(), plant("POST .*/deployments/cl", 500)),
    ),
    HookCase("update", update, UPDATED, "success", "", (make_deployment, write_file(scheduler_size="MEDIUM"))),
    HookCase(
        "update of a name that is gone",
        update,
        "orgs workspaces list list",
        "gone",
        "nobody",
        (make_deployment, write_file(name="nobody")),
    ),
    HookCase(
        "update by another one's name",
        update,
        UPDATED,
        "holds",
        "instead of",
        (make_deployment, make_other("dev-y"), write_file(name="dev-y")),
    ),
    HookCase(
        "update is refused",
        update,
        "orgs workspaces list list get options update",
        "again",
        "planted",
        (make_deployment, write_file(), plant("POST .*/deployments/cl", 400)),
    ),
    HookCase("deploy DAGs", deploy_dags, DEPLOYED, "success", "Successfully uploaded", (make_deployment,)),
    HookCase(
        "deploy many DAGs",
        deploy_dags,
        "orgs get deploy block block block blocklist finalize",
        "success",
        "Successfully uploaded",
        (make_deployment, add_big_file),
    ),
    HookCase(
        "deploy DAGs where they are off",
        deploy_dags,
        "orgs get deploy",
        "holds",
        "DAG-only deploys are not enabled",
        (without_dag_deploys,),
    ),
    HookCase(
        "deploy to what is gone",
        deploy_dags,
        "orgs get-unknown",
        "again",
        "Deployment not found",
        (make_deployment, set_id("clunknown")),
    ),
    HookCase(
        "deploy to another workspace",
        deploy_dags,
        "orgs get",
        "again",
        "Invalid workspace id clother",
        (make_deployment,),
        "clother",
    ),
    HookCase(
        "deploy what is no project", deploy_image(), "orgs", "holds", "not an Astro", (make_deployment, leave_project)
    ),
    HookCase(
        "deploy record is refused",
        deploy_dags,
        "orgs get deploy",
        "again",
        "planted",
        (make_deployment, plant("POST .*/deploys$", 409)),
    ),
    HookCase(
        "upload is refused",
        deploy_dags,
        "orgs get deploy upload",
        "again",
        "It said: Error: PUT http",
        (make_deployment, plant("PUT /upload", 403)),
    ),
    HookCase(
        "finalize drops",
        deploy_dags,
        DEPLOYED,
        "again",
        "finalize",
        (make_deployment, plant("finalize", None)),
    ),
    HookCase(
        "deploy an image",
        NAMED,
        IMAGE + " upload finalize",
        "success",
        "Successfully pushed",
        (make_deployment, add_engine),
    ),
    HookCase(
        "build an image",
        deploy_image(),
        IMAGE + " upload finalize",
        "success",
        "Successfully pushed",
        (make_deployment, add_engine),
    ),
    HookCase("build without an engine", deploy_image(), "orgs get deploy", "again", "docker", (make_deployment,)),
    HookCase(
        "build fails",
        deploy_image(),
        "orgs get deploy",
        "holds",
        "see the build logs for details",
        (make_deployment, add_engine, break_build),
    ),
    HookCase(
        "engine that does not tell the runtime",
        NAMED,
        "orgs get deploy",
        "again",
        "unable get runtime version",
        (make_deployment, add_engine, label("broken")),
    ),
    HookCase(
        "image of no runtime",
        NAMED,
        "orgs get deploy",
        "holds",
        "Astro Runtime",
        (make_deployment, add_engine, label("")),
    ),
    HookCase("image of an old runtime", NAMED, IMAGE, "holds", "downgraded", (make_deployment, add_engine, label("3"))),
    HookCase(
        "image of a runtime unknown",
        NAMED,
        IMAGE,
        "again",
        "an unsupported Astro",
        (make_deployment, add_engine, label("3.9-9")),
    ),
    HookCase(
        "image that is not there",
        deploy_image("localhost/nope:1"),
        "orgs get deploy",
        "again",
        "podman tag",
        (make_deployment, add_engine),
    ),
    HookCase("push fails", NAMED, IMAGE, "again", "pinging", (make_deployment, add_engine, refuse_login)),
    HookCase("delete", delete, "orgs list get delete", "success", "dev-x", (make_deployment,)),
    HookCase("delete again", delete, "orgs list", "gone", "not found", (delete_one_of_two,)),
    HookCase("delete the last again", delete, "orgs list", "gone", "no Deployments found", (set_id("clgone"),)),
    HookCase(
        "delete is refused",
        delete,
        "orgs list get delete",
        "again",
        "planted",
        (make_deployment, plant("DELETE", 403)),
    ),
    HookCase(
        "delete cannot look", delete, "orgs list", "again", "502", (make_deployment, plant("nts\\?", 502, html=True))
    ),
    HookCase(
        "delete without organizations",
        delete,
        "orgs list get delete",
        "success",
        "dev-x",
        (make_deployment, plant("organizations\\?", 500)),
    ),
    HookCase("hibernate", hibernate, TO_DEVELOPMENT, "success", "until further notice", (make_deployment,)),
    HookCase("hibernate what stays up", hibernate, "orgs list get", "holds", "development", (make_no_development,)),
    HookCase(
        "hibernate is refused",
        hibernate,
        TO_DEVELOPMENT,
        "again",
        "planted",
        (make_deployment, plant("hibernation-override", 500)),
    ),
    HookCase("wake up", wake_up(), TO_DEVELOPMENT, "success", "until further notice", (make_deployment,)),
    HookCase(
        "wake up for two hours",
        wake_up(timedelta(hours=2)),
        TO_DEVELOPMENT,
        "success",
        "wake up until 2",
        (make_deployment,),
    ),
    HookCase("token of another make", delete, "", "again", "malformed", (set_id("cl1"), take_token("no-jwt"))),
    HookCase(
        "token out of date",
        delete,
        "",
        "again",
        "expired",
        (set_id("cl1"), take_token(make_token(exp=1, permissions=["organizationId:o"]))),
    ),
)


@pytest.fixture
def stage(stage: Stage, tmp_path: Path) -> Stage:
    (tmp_path / "tools" / "python3").symlink_to(sys.executable)
    return stage


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_call_asks_what_it_should_and_its_ending_is_understood(
    case: HookCase, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for prepare in case.given:
        prepare(stage)
    connect(monkeypatch, stage, case.workspace)
    cli = AstroCli("astro_default", timeout_s=60)

    try:
        told, means = str(case.call(cli, stage)), MEANINGS[None]
    except DeployOpsError as error:
        told, means = str(error), MEANINGS[type(error)]

    assert means == case.means, told
    assert [NAMES.get(line, line) for line in stage.requests] == case.requests.split()
    assert case.told in told
    assert ASTRO_TOKEN not in told


def connect(monkeypatch: pytest.MonkeyPatch, stage: Stage, workspace: str) -> None:
    """Point the Airflow connection at the stage, and leave the CLI the stage's tools alone."""
    extra = {
        "organization_id": ORGANIZATION_ID,
        "workspace_id": workspace,
        "cli": OTHER_CLI or str(ASTRO),
        "registry": "127.0.0.1:1",
    }
    host = f"{stage.world.base_url}/astro"
    connection = {"conn_type": "http", "host": host, "password": stage.token, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_ASTRO_DEFAULT", json.dumps(connection))
    monkeypatch.setenv("PATH", str(stage.root / "tools"))
    forbid_confinement(monkeypatch)  # the engine writes down what it is asked
    monkeypatch.setenv("HOME", str(stage.root))
    monkeypatch.setenv("DOCKER_HOST", stage.docker_host)
    stage.write_engine_settings()
