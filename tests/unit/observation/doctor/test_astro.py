"""Astro's checks at the sandbox: a fault turns each red or leaves it open, and its advice turns it green again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.deploy_ops.core.doctor.check import Status
from include.deploy_ops.observation.doctor import astro as reader
from include.deploy_ops.observation.doctor import trunk
from sandbox.identity import ASTRO_TOKEN, ORGANIZATION_ID, WORKSPACE_ID
from tests.worlds.stages.doctor import ASTRO, Doctored

FAIL, WARN, OPEN, OK = Status.FAIL, Status.WARN, Status.NOT_KNOWN, Status.OK
OWN_TOKEN = "/tokens/sandbox"  # noqa: S105 - a path
OPTIONS = "/deployment-options"
ORGANIZATIONS = r"/v1/organizations\?"
MANIFEST = r"^/v2/.*/manifests/"

Act = Callable[[Doctored], Any]


def tell_token(world: Doctored, **changes: Any) -> None:
    """Let Astro tell something else of the token."""
    world.heal()
    told = world.stage.ask_astro("GET", "tokens/sandbox")
    world.answer(OWN_TOKEN, told | changes)


def in_days(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def role(name: str) -> list[dict[str, str]]:
    return [{"entityType": "WORKSPACE", "entityId": WORKSPACE_ID, "role": name}]


def offer(world: Doctored, *versions: str) -> None:
    """Let Astro offer these runtimes alone."""
    world.heal()
    told = world.stage.ask_astro("GET", "deployment-options")
    releases = [each for each in told["runtimeReleases"] if each["version"] in versions]
    world.answer(OPTIONS, told | {"runtimeReleases": releases})


def tell_organization(world: Doctored, **changes: Any) -> None:
    """Let Astro tell something else of the organization."""
    world.heal()
    headers = {"Authorization": f"Bearer {ASTRO_TOKEN}"}
    page = world.stage.sandbox.client.get("/astro/v1/organizations", headers=headers).json()
    page["organizations"][0] |= changes
    world.answer(ORGANIZATIONS, page)


def move_target(world: Doctored) -> None:
    """Let the target's name be that of a Deployment of another workspace."""
    world.edit_target(name="Production of old")
    (former,) = [each for each in world.stage.list_deployments() if each["name"] == "Production of old"]
    moved = [former | {"name": "Production", "workspaceId": "clother"}]
    world.answer(r"/deployments\?names=", {"deployments": moved, "limit": 1000, "offset": 0, "totalCount": 1})


def reconnect(world: Doctored) -> None:
    """Put the connection back as the advice says: whole, with a valid token."""
    extra = {"organization_id": ORGANIZATION_ID, "workspace_id": WORKSPACE_ID}
    host = f"{world.stage.sandbox.url}/astro"
    connection = {"conn_type": "http", "host": host, "password": ASTRO_TOKEN, "extra": extra}
    world.monkeypatch.setenv(ASTRO, json.dumps(connection))


def name_target(world: Doctored, name: str) -> None:
    """Let the policy name the target's Deployment otherwise."""
    target = world.stage.scope.project.targets["production"]
    world.stage.change_project(targets={"production": target.model_copy(update={"deployment": name})})


def name_image(world: Doctored, repository: str) -> None:
    """Name another image of CI's in the policy."""
    world.stage.change_project(image=("reuse", f"{world.stage.sandbox.host}/acme/{repository}:{{sha}}"))


def name_workspaces(world: Doctored, *workspaces: str) -> None:
    """Let the policy's main file say to which workspaces the project's connection may lead."""
    world.stage.scope = replace(world.stage.scope, workspaces=workspaces)


def fill_house(world: Doctored) -> None:
    """Let as many previews live as the policy allows."""
    world.stage.make_deployment("dev-a")
    world.allow(max_live=1)


def reach_limit(world: Doctored) -> None:
    """Let Astro refuse to make the preview of a branch, by a limit of which its API tells nothing."""
    world.stage.push("dev-x")
    world.answer("/deployments$", {"message": "limit of Deployments reached", "statusCode": 400}, 400, method="POST")
    (run,) = world.stage.plan()
    run.play()
    assert run.states["create"] == "failed"
    assert world.stage.plan() == [], "it comes again after a while"


def raise_limit(world: Doctored) -> None:
    """Have the limit raised, after which the preview is made."""
    world.heal()
    world.stage.make_deployment("dev-x")


STORIES: list[tuple[str, Act, Status, str, Act]] = [
    (
        "connection",
        lambda world: world.monkeypatch.delenv(ASTRO),
        FAIL,
        "there is no Airflow connection 'astro_default'",
        reconnect,
    ),
    (
        "connection",
        lambda world: name_workspaces(world, "clother"),
        FAIL,
        f"leads to workspace '{WORKSPACE_ID}'",
        lambda world: name_workspaces(world, "clother", WORKSPACE_ID),
    ),
    ("token", lambda world: world.connect(password="opaque"), FAIL, "three parts", reconnect),  # noqa: S106 - none
    (
        "token",
        lambda world: world.connect(password=f"{ASTRO_TOKEN}x"),
        FAIL,
        "HTTP 401",
        reconnect,
    ),
    (
        "token's end",
        lambda world: tell_token(world, endAt=in_days(-1)),
        FAIL,
        "it ended",
        lambda world: tell_token(world, endAt=in_days(90)),
    ),
    ("token's end", lambda world: tell_token(world, endAt=in_days(3)), WARN, "it ends", Doctored.heal),
    ("token's end", lambda world: world.refuse(OWN_TOKEN), OPEN, "HTTP 403", Doctored.heal),
    (
        "token's role",
        lambda world: tell_token(world, roles=role("WORKSPACE_MEMBER")),
        FAIL,
        "too little",
        lambda world: tell_token(world, roles=role("WORKSPACE_OPERATOR")),
    ),
    ("token's role", lambda world: world.refuse(OWN_TOKEN, 404), OPEN, "shows no such token", Doctored.heal),
    (
        "organization",
        lambda world: world.connect({"organization_id": "clother"}),
        FAIL,
        f"the token is of {ORGANIZATION_ID}",
        lambda world: world.connect({"organization_id": ORGANIZATION_ID}),
    ),
    (
        "organization",
        lambda world: tell_organization(world, status="SUSPENDED"),
        FAIL,
        "Acme is SUSPENDED",
        lambda world: tell_organization(world, status="ACTIVE"),
    ),
    (
        "workspace",
        lambda world: world.connect({"workspace_id": "clother"}),
        FAIL,
        f"the token is of {WORKSPACE_ID}",
        lambda world: world.connect({"workspace_id": WORKSPACE_ID}),
    ),
    ("workspace", lambda world: world.refuse("/workspaces"), OPEN, "HTTP 403", Doctored.heal),
    (
        "target production",
        lambda world: world.edit_target(name="Prodution"),
        FAIL,
        "there is 'Prodution'",
        lambda world: world.edit_target(name="Production"),
    ),
    (
        "target production",
        move_target,
        FAIL,
        "is in another workspace: clother",
        lambda world: name_target(world, "Production of old"),
    ),
    (
        "DAG deploys of production",
        lambda world: world.edit_target(isDagDeployEnabled=False),
        WARN,
        "off: each push",
        lambda world: world.edit_target(isDagDeployEnabled=True),
    ),
    (
        "runtime of previews",
        lambda world: offer(world, "3.1-14"),
        FAIL,
        "3.3-2, which Astro does not offer",
        lambda world: offer(world, "3.1-14", "3.3-2"),
    ),
    (
        "runtime of previews",
        lambda world: world.edit_template("3.3-2", "3.2-1"),
        FAIL,
        "3.2-1, which Astro does not offer",
        lambda world: world.edit_template("3.2-1", "3.3-2"),
    ),
    ("runtime of production", lambda world: offer(world, "3.1-14"), WARN, "offers no more", Doctored.heal),
    ("runtime of production", lambda world: world.refuse(OPTIONS), OPEN, "HTTP 403", Doctored.heal),
    ("runtime of CI's image", lambda world: offer(world, "3.1-14"), FAIL, "does not offer", Doctored.heal),
    (
        "runtime of CI's image",
        lambda world: name_image(world, "nothing"),
        OPEN,
        "CI has not built it",
        lambda world: name_image(world, "data-platform"),
    ),
    (
        "DAG deploys of previews",
        lambda world: world.edit_template("dag_deploy_enabled: true", "dag_deploy_enabled: false"),
        WARN,
        "off: each push",
        lambda world: world.edit_template("dag_deploy_enabled: false", "dag_deploy_enabled: true"),
    ),
    (
        "objects that link themselves",
        lambda world: world.link(is_linked=True),
        WARN,
        "can read connections.warehouse",
        lambda world: world.link(is_linked=False),
    ),
    ("objects that link themselves", lambda world: world.refuse("/environment-objects"), OPEN, "403", Doctored.heal),
    (
        "room for previews",
        fill_house,
        WARN,
        "1 previews live, max_live is 1: new ones wait",
        lambda world: world.allow(max_live=3),
    ),
    ("room for previews", reach_limit, FAIL, "dev-x has no preview: `astro deployment create`", raise_limit),
    (
        "pull of deployed images",
        lambda world: world.refuse(MANIFEST, 403, "registry", method="HEAD"),
        WARN,
        "refused to let us look into",
        Doctored.heal,
    ),
    (
        "pull of deployed images",
        lambda world: world.refuse(MANIFEST, 404, "registry", method="HEAD"),
        WARN,
        "which Production runs",
        Doctored.heal,
    ),
]


@pytest.mark.parametrize(("name", "spoil", "status", "found", "mend"), STORIES)
def test_a_fault_shows_and_its_advice_mends_it(
    doctored: Doctored, name: str, spoil: Act, status: Status, found: str, mend: Act
) -> None:
    spoil(doctored)
    check = doctored.find(name)
    assert check.status is status
    assert found in check.found
    assert check.advice
    mend(doctored)
    assert doctored.find(name).status is OK


def test_all_is_well_there_but_what_astro_does_not_tell(doctored: Doctored) -> None:
    checks = doctored.examine_astro()
    assert {each.name: each.status for each in checks if each.status is not OK} == {"room for previews": OPEN}
    assert {name for name, *_ in STORIES} == {each.name for each in checks}


def test_it_reads_and_writes_nothing_and_asks_no_more_than_it_says(doctored: Doctored) -> None:
    production = doctored.stage.scope.project.targets["production"]
    lost = production.model_copy(update={"deployment": "Lost"})  # so that it is looked for elsewhere, too
    doctored.stage.change_project(targets={"production": production, "lost": lost})
    doctored.stage.forget_requests()
    doctored.examine_astro()
    asked = {face: doctored.list_requests(face) for face in ("astro", "registry", "github")}
    assert len(asked["astro"]) == reader.ASTRO_REQUESTS_MAX
    assert 0 < len(asked["registry"]) <= reader.REGISTRY_REQUESTS_MAX
    assert 0 < len(asked["github"]) <= trunk.GITHUB_REQUESTS_MAX
    assert all(line.startswith(("GET ", "HEAD ")) for lines in asked.values() for line in lines)
    assert [line for line in asked["registry"] if line.startswith("HEAD") and "/manifests/" in line]
    assert not any("showSecrets" in line for line in asked["astro"])


PATHS = {
    ORGANIZATIONS: {"organization"},
    "/workspaces": {"workspace"},
    OWN_TOKEN: {"token's end", "token's role"},
    r"/deployments\?.*workspaceIds": {
        "target production",
        "DAG deploys of production",
        "runtime of production",
        "room for previews",
        "pull of deployed images",
    },
    r"/deployments\?limit=1&": set(),
    OPTIONS: {"runtime of previews", "runtime of production", "runtime of CI's image"},
    "/environment-objects": {"objects that link themselves"},
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("status", [403, 500])
def test_what_one_question_is_refused_leaves_the_other_answers(doctored: Doctored, path: str, status: int) -> None:
    doctored.refuse(path, status)
    checks = {each.name: each.status for each in doctored.examine_astro()}
    assert {name for name, state in checks.items() if state is not OK} == PATHS[path] | {"room for previews"}
    assert FAIL not in checks.values()


def test_an_astro_that_is_silent_is_not_asked_for_everything(doctored: Doctored) -> None:
    doctored.refuse("/v1/", 503)
    doctored.stage.forget_requests()
    checks = doctored.examine_astro()
    assert len(doctored.list_requests("astro")) == 2 * 4  # two questions, each tried four times
    known = {"connection", "DAG deploys of previews"}  # of Airflow and of GitHub
    assert {each.name for each in checks if each.status is not OPEN} == known


def test_without_a_target_that_is_missing_nobody_looks_elsewhere(doctored: Doctored) -> None:
    doctored.stage.forget_requests()
    doctored.examine_astro()
    asked = doctored.list_requests("astro")
    assert len(asked) == reader.ASTRO_REQUESTS_MAX - 1
    assert not any("names=" in line for line in asked)


def test_a_project_of_targets_alone_is_asked_for_nothing_of_previews(doctored: Doctored) -> None:
    project = doctored.stage.scope.project.model_copy(update={"previews": None, "image": ("build",)})
    doctored.stage.scope = replace(doctored.stage.scope, project=project)
    doctored.stage.forget_requests()
    checks = doctored.examine_astro()
    assert [each.name for each in checks if "preview" in each.name or "image" in each.name] == []
    assert doctored.list_requests("registry") == []
    assert not any("environment-objects" in line for line in doctored.list_requests("astro"))
    assert doctored.examine_template() == ()
