"""The sandbox's Astro answers as Astro describes its API: every route, with success and with every kind of refusal.

The fixtures `world` and `stage` judge whatever their tests ask, in tests/sandbox/astro and tests/sandbox/cli too; here
is the proof that all is asked, and that what the description forbids is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest
from starlette.routing import Match, Route

from sandbox.astro.environment import KINDS
from sandbox.identity import WORKSPACE_ID
from tests.contract.astro.description import load_description
from tests.contract.astro.deviations import DEVIATIONS
from tests.contract.openapi.judge import Judge
from tests.contract.openapi.schema import Part
from tests.sandbox.astro.calls import (
    AUTH,
    CREATE,
    FIXED,
    call,
    create,
    deploy_dags,
    deploy_image,
    finalize,
    pack,
    read,
    start,
    upload,
)
from tests.sandbox.astro.world import World

GIT = {
    "provider": "GITHUB",
    "commitSha": "a" * 40,
    "account": "acme",
    "repo": "data-platform",
    "branch": "dev-x",
    "commitUrl": "https://github.com/acme/data-platform/commit/a",
    "authorName": "Mira",
}
VARIABLES = [
    {"key": "OPEN", "isSecret": False, "value": "seen"},
    {"key": "CLOSED", "isSecret": True, "value": "hidden"},
]
SCHEDULE = {"hibernateAtCron": "0 20 * * *", "wakeAtCron": "0 7 * * *", "isEnabled": True, "description": "at night"}
QUEUE = {
    "name": "default",
    "astroMachine": "A10",
    "isDefault": True,
    "maxWorkerCount": 3,
    "minWorkerCount": 0,
    "workerConcurrency": 10,
    "id": "",
    "podEphemeralStorage": "10Gi",
}
WHOLE = CREATE | {
    "description": "all that may be said",
    "contactEmails": ["mira@acme.example"],
    "environmentVariables": VARIABLES,
    "scalingSpec": {"hibernationSpec": {"schedules": [SCHEDULE]}},
    "workerQueues": [QUEUE],
    "workloadIdentity": "arn:aws:iam::1:role/x",
    "defaultTaskPodCpu": "0.5",
    "defaultTaskPodMemory": "1Gi",
    "resourceQuotaCpu": "20",
    "resourceQuotaMemory": "40Gi",
}

TOKEN = {
    "name": "reader",
    "description": "all that may be said",
    "kind": "STANDARD",
    "scope": "WORKSPACE",
    "entityId": WORKSPACE_ID,
    "role": "WORKSPACE_MEMBER",
    "tokenExpiryPeriodInDays": 1,
}

CHANGED = {name: value for name, value in WHOLE.items() if name not in FIXED}
UPLOAD = "/upload/"


class Tour:
    """A walk through the whole API, as a client that does everything right."""

    def __init__(self, world: World) -> None:
        self.world = world

    def take(self) -> str:
        """Take the whole tour, and return the Deployment that is left."""
        self.walk_organization()
        left = self.walk_deployments()
        self.walk_deploys(left)
        self.walk_hibernation(left)
        self.walk_tokens(left)
        return left

    def walk_organization(self) -> None:
        query = {"limit": 100, "offset": 0}
        for path in ("/organizations", f"/organizations/{read_organization(self.world)}"):
            assert self.world.client.get(f"{self.world.api}{path}", params=query, headers=AUTH).is_success
            query = {}
        call(self.world, "GET", "/workspaces", limit=1000, offset=0, sorts="name:asc")
        call(self.world, "GET", "/clusters", limit=1000)
        self.walk_environment()
        call(self.world, "GET", "/deployment-options")
        call(self.world, "GET", "/deployment-options", cloudProvider="AWS", deploymentType="STANDARD")

    def walk_environment(self) -> None:
        for kind in KINDS:
            self.world.astro.environment.put(kind, "warehouse", is_linked=kind == "CONNECTION")
        for offset in range(3):
            call(self.world, "GET", "/environment-objects", limit=2, offset=offset, workspaceId=WORKSPACE_ID)
        found = call(self.world, "GET", "/environment-objects", objectType=KINDS[0], objectKey="warehouse")
        assert [each["autoLinkDeployments"] for each in found["environmentObjects"]] == [True]

    def walk_deployments(self) -> str:
        left, other = create(self.world, **WHOLE), create(self.world, name="dev-y", executor="KUBERNETES")
        call(self.world, "POST", f"/deployments/{left}", CHANGED)
        self.walk_pages()
        call(self.world, "DELETE", f"/deployments/{other}", status=204)
        return left

    def walk_pages(self) -> None:
        for offset in range(3):
            call(self.world, "GET", "/deployments", limit=1, offset=offset, workspaceIds=WORKSPACE_ID)
        named = call(self.world, "GET", "/deployments", names=["dev-y", "nobody"])
        assert [each["name"] for each in named["deployments"]] == ["dev-y"]
        call(self.world, "GET", "/deployments", limit=0)

    def walk_deploys(self, deployment: str) -> None:
        first = deploy_image(self.world, deployment, "one")
        deploy_image(self.world, deployment, "two", runtime="9.9-9")
        deploy_dags(self.world, deployment, "1")
        failed = start(self.world, deployment, "IMAGE_AND_DAG", description="no image", git=GIT)
        finalize(self.world, failed, upload(self.world, failed, pack(("dags/a.py", "2"))))
        bundle = start(self.world, deployment, "BUNDLE", bundleMountPath="/dbt/x", bundleType="dbt")
        finalize(self.world, bundle, None)
        path = f"/deployments/{deployment}/deploys"
        for offset in range(3):
            call(self.world, "GET", path, limit=2, offset=offset)
        call(self.world, "GET", f"{path}/{failed['id']}")
        call(self.world, "POST", f"{path}/{failed['id']}", {"description": "really none"})
        call(self.world, "POST", f"{path}/{first['id']}/rollback", {"description": "back"})

    def walk_hibernation(self, deployment: str) -> None:
        path = f"/deployments/{deployment}/hibernation-override"
        for until in ({}, {"overrideUntil": "2099-01-01T00:00:00Z"}):
            for is_hibernating in (True, False):
                call(self.world, "POST", path, {"isHibernating": is_hibernating, **until})
                read(self.world, deployment)
        call(self.world, "DELETE", path, status=204)

    def walk_tokens(self, deployment: str) -> None:
        for_one = {"scope": "DEPLOYMENT", "entityId": deployment, "role": "DEPLOYMENT_ADMIN"}
        for_all = {"name": "whole", "scope": "ORGANIZATION", "role": "ORGANIZATION_MEMBER", "kind": "DIRECT_ACCESS"}
        made = [call(self.world, "POST", "/tokens", body) for body in (TOKEN, TOKEN | for_one, for_all)]
        assert [each["kind"] for each in made] == ["STANDARD", "STANDARD", "DIRECT_ACCESS"]
        for offset in range(3):
            call(self.world, "GET", "/tokens", limit=2, offset=offset)
        call(self.world, "GET", "/tokens", deploymentId=deployment)
        call(self.world, "GET", "/tokens", workspaceId=WORKSPACE_ID)
        assert call(self.world, "GET", "/tokens/sandbox")["roles"][0]["role"] == "WORKSPACE_OPERATOR"
        for each in made:
            assert "token" not in call(self.world, "GET", f"/tokens/{each['id']}")
            call(self.world, "DELETE", f"/tokens/{each['id']}", status=204)


def read_organization(world: World) -> str:
    """Read the one organization's id."""
    answer = world.client.get(f"{world.api}/organizations", headers=AUTH).json()
    organization_id: str = answer["organizations"][0]["id"]
    return organization_id


def list_routes(world: World) -> list[Route]:
    """List the routes for programs; the API's last one, which says that there is nothing, is none of them."""
    routes = [
        each for each in world.astro.routes() if isinstance(each, Route) and each.path.startswith(("/v1/", UPLOAD))
    ]
    assert routes[-1].path == "/v1/{path:path}"
    return routes[:-1]


def find_route(routes: list[Route], line: str) -> Route | None:
    """Find the route that served a request."""
    method, _, target = line.partition(" ")
    scope = {"type": "http", "path": unquote(target.partition("?")[0]), "method": method}
    return next((route for route in routes if route.matches(scope)[0] is Match.FULL), None)


def test_every_route_is_an_operation_that_succeeds_as_described(world: World, judge: Judge) -> None:
    Tour(world).take()
    routes = list_routes(world)
    served = {id(find_route(routes, line)) for line in world.requests}
    untouched = [f"{route.methods} {route.path}" for route in routes if id(route) not in served]
    assert not untouched, "the tour leaves these routes out: " + ", ".join(untouched)
    problems = [problem for each in world.exchanges for problem in judge.list_request_problems(each)]
    problems += [problem for each in world.exchanges for problem in judge.list_answer_problems(each)]
    assert not problems, "\n".join(problems)
    assert all(exchange.is_success for exchange in world.exchanges)
    assert judge.used == set()  # of all exceptions, who does everything right needs none
    asked = {str(judge.description.find_operation(each.method, each.path)) for each in world.exchanges}
    assert asked == {str(operation) for operation in judge.description.list_operations()}


def list_refusals(deployment: str, deploy: str) -> Iterator[tuple[int, str, str, Any]]:
    """List what must be refused: status, method, path below the organization's, body."""
    one, deploys = f"/deployments/{deployment}", f"/deployments/{deployment}/deploys"
    yield from (
        (404, "GET", "/nonsense", None),
        (404, "PATCH", "/deployments", {}),
        (404, "GET", "/deployments/clnone", None),
        (404, "POST", "/deployments/clnone", CHANGED),
        (404, "DELETE", "/deployments/clnone", None),
        (404, "POST", "/deployments/clnone/hibernation-override", {"isHibernating": True}),
        (404, "DELETE", "/deployments/clnone/hibernation-override", None),
        (404, "GET", "/deployments/clnone/deploys", None),
        (404, "POST", "/deployments/clnone/deploys", {"type": "DAG_ONLY"}),
        (404, "GET", f"{deploys}/clnone", None),
        (404, "POST", f"{deploys}/clnone", {"description": ""}),
        (404, "POST", f"{deploys}/clnone/finalize", {}),
        (404, "POST", f"{deploys}/clnone/rollback", {}),
        (400, "POST", f"{deploys}/{deploy}/finalize", {"dagTarballVersion": "made-up"}),
        (400, "POST", f"{deploys}/{deploy}/rollback", {}),
        (400, "POST", "/deployments", WHOLE),  # the name is taken
        (400, "POST", f"{one}/hibernation-override", {"isHibernating": True, "overrideUntil": "tomorrow"}),
        (404, "GET", "/tokens/clnone", None),
        (404, "DELETE", "/tokens/clnone", None),
        (404, "POST", "/tokens", TOKEN | {"entityId": "clnone"}),
        (404, "POST", "/tokens", TOKEN | {"scope": "DEPLOYMENT", "entityId": "clnone"}),
        (400, "POST", "/tokens", TOKEN | {"entityId": ""}),
        (400, "POST", "/tokens", TOKEN | {"tokenExpiryPeriodInDays": ""}),
    )


def test_every_refusal_is_as_described_and_every_exception_is_needed(world: World, judge: Judge) -> None:
    deployment = Tour(world).take()
    deploy = start(world, deployment, "DAG_ONLY")["id"]
    for status, method, path, body in list_refusals(deployment, deploy):
        call(world, method, path, body, status)
    call(world, "GET", f"/deployments/{deployment}/deploys", status=400, limit=1001)
    call(world, "GET", "/deployments", status=400, offset="x")
    call(world, "GET", "/tokens", status=400, limit=1001)
    for path, headers, status in (
        ("/organizations", {}, 401),
        ("/organizations/clother", AUTH, 403),
        ("/organizations/clother/deployments", AUTH, 403),
        ("/nonsense", AUTH, 404),
    ):
        assert world.client.get(f"{world.api}{path}", headers=headers).status_code == status
    call(world, "POST", f"/deployments/{deployment}", CHANGED | {"contactEmails": None})
    for exchange in world.exchanges:
        assert judge.list_answer_problems(exchange) == []
        judge.list_request_problems(exchange)  # of these, some are wrong on purpose
    assert judge.used == set(DEVIATIONS)


BODIES = {
    "CreateDeployment": ("/deployments", WHOLE | {"name": "dev-new"}),
    "UpdateDeployment": ("/deployments/{deployment}", CHANGED),
    "OverrideHibernation": ("/deployments/{deployment}/hibernation-override", {"isHibernating": True}),
    "CreateDeploy": (
        "/deployments/{deployment}/deploys",
        {"type": "DAG_ONLY", "description": "d", "git": GIT, "bundleMountPath": "/dbt/x", "bundleType": "dbt"},
    ),
    "UpdateDeploy": ("/deployments/{deployment}/deploys/{deploy}", {"description": "d"}),
    "FinalizeDeploy": ("/deployments/{deployment}/deploys/{deploy}/finalize", {"dagTarballVersion": ""}),
    "RollBackDeploy": ("/deployments/{deployment}/deploys/{deploy}/rollback", {"description": "d"}),
    "CreateToken": ("/tokens", TOKEN),
}


def list_forbidden(schema: Part, value: Any) -> Iterator[tuple[str, Any]]:
    """List what a right value must not be turned into, each with one fault: where and which, and the whole value."""
    yield from list_faults(schema.value, value)
    if isinstance(value, list):
        for what, item in list_forbidden(schema.get("items"), value[0]):
            yield f"[0]{what}", [item, *value[1:]]
    if isinstance(value, dict):
        for name in value:
            for what, changed in list_forbidden(schema.get("properties", name), value[name]):
                yield f".{name}{what}", value | {name: changed}
        for name in schema.value.get("required", ()):
            yield f" without {name}", {key: one for key, one in value.items() if key != name}


def list_faults(said: dict[str, Any], value: Any) -> Iterator[tuple[str, Any]]:
    """List the faults that the value as a whole can have."""
    yield " of another type", 7 if said["type"] == "string" else "x"
    if "enum" in said:
        yield " none of its words", "NONE"
    if "maxLength" in said:
        yield " too long", "x" * (said["maxLength"] + 1)
    if "minimum" in said:
        yield " too small", said["minimum"] - 1
    if "maximum" in said:
        yield " too large", said["maximum"] + 1
    if "maxItems" in said:
        yield " too many", value * (said["maxItems"] + 1)
    if "minItems" in said:
        yield " too few", []


@pytest.mark.parametrize("name", BODIES)
def test_what_the_description_forbids_is_refused(name: str, world: World) -> None:
    deployment = create(world, **WHOLE)
    path, body = BODIES[name]
    path = path.format(deployment=deployment, deploy=start(world, deployment, "DAG_ONLY")["id"])
    schema = load_description().root.get("components", "schemas", name)
    assert schema.list_problems(body) == []
    forbidden = list(list_forbidden(schema, body))
    taken, api = [], f"{world.api}/organizations/{read_organization(world)}"
    for what, wrong in forbidden:
        assert schema.list_problems(wrong), f"{what} is permitted: {json.dumps(wrong)}"
        status = world.client.post(f"{api}{path}", json=wrong, headers=AUTH).status_code
        if status != 400:
            taken.append(f"{what} → {status}")
    assert len(forbidden) >= 2
    assert not taken, f"taken although forbidden: {taken}"
