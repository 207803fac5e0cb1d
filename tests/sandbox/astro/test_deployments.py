"""The sandbox's Astro over HTTP: who may ask, pages, Deployments, and their statuses by the clock."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.identity import ASTRO_TOKEN, ORGANIZATION_ID, WORKSPACE_ID
from tests.sandbox.astro.calls import AUTH, CREATE, call, create, deploy_dags, read, update, wait_for_status
from tests.sandbox.astro.world import World

REQUIRED = {
    *("id", "name", "namespace", "organizationId", "workspaceId", "workspaceName", "type", "executor", "schedulerSize"),
    *("status", "runtimeVersion", "astroRuntimeVersion", "airflowVersion", "imageTag", "imageRepository"),
    *("isCicdEnforced", "isDagDeployEnabled", "isHighAvailability", "isDevelopmentMode", "workerQueues"),
    *("defaultTaskPodCpu", "defaultTaskPodMemory", "resourceQuotaCpu", "resourceQuotaMemory", "schedulerReplicas"),
    *("schedulerCpu", "schedulerMemory", "webServerUrl", "webServerAirflowApiUrl", "webServerCpu", "webServerMemory"),
    *("webServerIngressHostname", "apiUrl", "uiUrl", "createdAt", "createdBy", "updatedAt", "updatedBy"),
}


@pytest.mark.parametrize("token", [None, "Bearer nonsense", ASTRO_TOKEN, "Bearer ünï"])
def test_only_the_bearer_of_the_token_is_let_in(world: World, token: str | None) -> None:
    headers = {} if token is None else {b"authorization": token.encode("latin-1")}

    response = world.client.get(f"{world.api}/organizations", headers=headers)

    assert response.status_code == 401
    assert response.json()["message"] == "Unauthorized"
    assert response.json()["statusCode"] == 401


def test_organizations_and_workspaces_are_listed_in_their_envelopes(world: World) -> None:
    organizations = world.client.get(f"{world.api}/organizations", headers=AUTH).json()
    workspaces = call(world, "GET", "/workspaces", sorts="name:asc")

    assert (organizations["totalCount"], organizations["organizations"][0]["product"]) == (1, "HOSTED")
    assert workspaces["workspaces"][0]["id"] == WORKSPACE_ID
    assert call(world, "GET", "/clusters") == {"clusters": [], "limit": 20, "offset": 0, "totalCount": 0}


def test_every_address_of_a_deployment_is_its_airflows(world: World) -> None:
    deployment = read(world, create(world))
    airflow = f"{world.base_url.partition('://')[2]}/astro/airflow/{deployment['id'][-8:]}"
    assert deployment["webServerIngressHostname"] == airflow
    assert deployment["webServerUrl"] == f"{airflow}?orgId={ORGANIZATION_ID}"
    assert deployment["uiUrl"] == f"http://{deployment['webServerUrl']}"
    assert deployment["webServerAirflowApiUrl"] == f"{airflow}/api/v2"
    assert deployment["apiUrl"] == f"http://{deployment['webServerAirflowApiUrl']}"


def test_a_deployment_has_every_field_that_the_cli_dereferences(world: World) -> None:
    deployment = read(world, create(world))

    assert {name for name in REQUIRED if deployment.get(name) is None} == set()
    assert "clusterId" not in deployment
    assert deployment["workerQueues"][0]["astroMachine"] == "A5"
    assert "://" not in deployment["imageRepository"] + deployment["webServerUrl"]


def test_lists_are_paged_and_filtered_by_workspace(world: World) -> None:
    for number in range(5):
        create(world, name=f"dev-{number}")

    page = call(world, "GET", "/deployments", limit=2, offset=4, workspaceIds=WORKSPACE_ID)

    assert [item["name"] for item in page["deployments"]] == ["dev-4"]
    assert (page["limit"], page["offset"], page["totalCount"]) == (2, 4, 5)
    assert call(world, "GET", "/deployments", workspaceIds="clother")["totalCount"] == 0


@pytest.mark.parametrize("query", [{"limit": 1001}, {"limit": "x"}, {"offset": -1}])
def test_a_page_that_cannot_be_is_refused(world: World, query: dict[str, Any]) -> None:
    assert "Invalid request" in call(world, "GET", "/deployments", status=400, **query)["message"]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"description": "d" * 1001}, "description must have at most 1000 characters"),
        ({"name": "n" * 501}, "name must have at most 500 characters"),
        ({"name": ""}, "name is required"),
        ({"workspaceId": ""}, "workspaceId is required"),
        ({"workspaceId": "clother"}, "workspaceId must be one of"),
        ({"executor": "WRONG"}, "executor must be one of"),
        ({"astroRuntimeVersion": "9.9-9"}, "astroRuntimeVersion must be one of"),
        ({"isDagDeployEnabled": "yes"}, "isDagDeployEnabled must be of type bool"),
        ({"type": "DEDICATED"}, "type must be one of"),
        ({"workerQueues": [{"name": "other", "astroMachine": "A5"}]}, "workerQueues.minWorkerCount is required"),
        ({"workerQueues": ["x"]}, "workerQueues must hold JSON objects"),
        ({"environmentVariables": [{"key": "A", "isSecret": True}]}, "environmentVariables A has no value"),
    ],
)
def test_a_wrong_create_names_the_field(world: World, changes: dict[str, Any], word: str) -> None:
    assert word in call(world, "POST", "/deployments", {**CREATE, **changes}, 400)["message"]
    assert call(world, "GET", "/deployments")["totalCount"] == 0


def test_a_name_is_given_once(world: World) -> None:
    create(world)
    other = create(world, name="dev-y")

    assert "already exists" in call(world, "POST", "/deployments", CREATE, 400)["message"]
    assert "already exists" in update(world, other, 400)["message"]
    assert update(world, other, name="dev-z")["name"] == "dev-z"


def test_an_update_replaces_the_variables_and_keeps_what_it_does_not_name(world: World) -> None:
    secret = {"key": "S", "isSecret": True, "value": "hunter2"}
    deployment_id = create(
        world, contactEmails=["a@example.com"], environmentVariables=[secret, {**secret, "key": "T"}]
    )
    before = read(world, deployment_id)

    after = update(world, deployment_id, environmentVariables=[{"key": "S", "isSecret": True}], isDevelopmentMode=False)

    assert [item["key"] for item in after["environmentVariables"]] == ["S"]
    assert (
        "hunter2" not in world.client.get(f"{world.api}/organizations/{ORGANIZATION_ID}/deployments", headers=AUTH).text
    )
    assert after["contactEmails"] == ["a@example.com"]
    assert after["region"] == "us-east-1"
    assert after["isDevelopmentMode"] is True
    assert after["updatedAt"] > before["updatedAt"]
    assert update(world, deployment_id, contactEmails=None)["contactEmails"] == []


def test_a_deleted_deployment_is_gone(world: World) -> None:
    deployment_id = create(world)

    call(world, "DELETE", f"/deployments/{deployment_id}", status=204)

    assert call(world, "GET", f"/deployments/{deployment_id}", status=404)["message"] == "Deployment not found"
    assert call(world, "DELETE", f"/deployments/{deployment_id}", status=404)["statusCode"] == 404
    with pytest.raises(KeyError):
        world.astro.list_files(deployment_id)


def test_statuses_take_the_time_that_the_settings_say(world: World) -> None:
    world.settings.creating_s = world.settings.deploying_s = world.settings.dag_processing_s = 60
    deployment_id = create(world)
    assert read(world, deployment_id)["status"] == "CREATING"

    world.settings.creating_s = 0
    assert read(world, deployment_id)["status"] == "HEALTHY"

    version = deploy_dags(world, deployment_id, "1")["dagTarballVersion"]
    during = read(world, deployment_id)
    assert (during["status"], during["desiredDagTarballVersion"]) == ("DEPLOYING", version)
    assert "dagTarballVersion" not in during

    world.settings.deploying_s = world.settings.dag_processing_s = 0.1
    wait_for_status(world, deployment_id, "HEALTHY")
    assert read(world, deployment_id)["dagTarballVersion"] == version


def test_a_hibernating_deployment_wakes_after_a_while(world: World) -> None:
    world.settings.waking_s = 60
    deployment_id = create(world)
    path = f"/deployments/{deployment_id}/hibernation-override"

    assert call(world, "POST", path, {"isHibernating": True}) == {"isHibernating": True, "isActive": True}
    assert read(world, deployment_id)["status"] == "HIBERNATING"
    deploy_dags(world, deployment_id, "1")
    assert read(world, deployment_id)["status"] == "HIBERNATING"
    call(world, "DELETE", path, status=204)
    assert read(world, deployment_id)["status"] == "HIBERNATING"
    world.settings.waking_s = 0.05
    wait_for_status(world, deployment_id, "HEALTHY")


def test_an_override_ends_at_its_time(world: World) -> None:
    deployment_id = create(world)
    path = f"/deployments/{deployment_id}/hibernation-override"

    answer = call(world, "POST", path, {"isHibernating": True, "overrideUntil": "2020-01-01T00:00:00Z"})

    assert answer["isActive"] is False
    assert read(world, deployment_id)["status"] == "HEALTHY"


def test_what_is_no_development_deployment_does_not_hibernate(world: World) -> None:
    path = f"/deployments/{create(world, isDevelopmentMode=False)}/hibernation-override"

    assert "development" in call(world, "POST", path, {"isHibernating": True}, 400)["message"]


def test_an_unknown_path_answers_as_the_api_does(world: World) -> None:
    assert call(world, "PATCH", "/deployments", status=404)["statusCode"] == 404
    assert world.client.get(f"{world.api}/organizations/clother/deployments", headers=AUTH).status_code == 403


@pytest.mark.parametrize("content", [b"[]", b"{", b"nonsense"])
def test_a_body_that_is_no_object_is_refused(world: World, content: bytes) -> None:
    url = f"{world.api}/organizations/{ORGANIZATION_ID}/deployments"

    assert world.client.post(url, content=content, headers=AUTH).status_code == 400


def test_a_reset_forgets_everything(world: World) -> None:
    deployment_id = create(world)
    deploy_dags(world, deployment_id, "1")

    world.astro.reset()

    assert call(world, "GET", "/deployments")["totalCount"] == 0
