"""The sandbox's Astro over HTTP: Deployments, their statuses by the clock, deploys, uploads, rollback."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from sandbox.identity import ASTRO_TOKEN, ORGANIZATION_ID, WORKSPACE_ID
from tests.sandbox.astro_world import World, run_world

if TYPE_CHECKING:
    from collections.abc import Iterator

AUTH = {"authorization": f"Bearer {ASTRO_TOKEN}"}
CREATE = {
    "name": "dev-x",
    "workspaceId": WORKSPACE_ID,
    "type": "STANDARD",
    "executor": "CELERY",
    "schedulerSize": "SMALL",
    "isCicdEnforced": False,
    "isDagDeployEnabled": True,
    "isHighAvailability": False,
    "isDevelopmentMode": True,
    "cloudProvider": "AWS",
    "region": "us-east-1",
    "astroRuntimeVersion": "3.1-14",
}
REQUIRED = (
    "id name namespace organizationId workspaceId workspaceName type executor schedulerSize status runtimeVersion "
    "astroRuntimeVersion airflowVersion imageTag imageRepository isCicdEnforced isDagDeployEnabled isHighAvailability "
    "isDevelopmentMode defaultTaskPodCpu defaultTaskPodMemory resourceQuotaCpu resourceQuotaMemory workerQueues "
    "schedulerReplicas schedulerCpu schedulerMemory webServerUrl webServerAirflowApiUrl webServerCpu webServerMemory "
    "webServerIngressHostname apiUrl uiUrl createdAt createdBy updatedAt updatedBy"
).split()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with run_world(tmp_path_factory.mktemp("astro")) as world:
        yield world


@pytest.fixture
def world(running: World) -> World:
    running.forget()
    return running


def call(world: World, method: str, path: str, body: Any = None, status: int = 200, **query: Any) -> Any:
    """Ask the API; `path` continues the organization's."""
    url = f"{world.api}/organizations/{ORGANIZATION_ID}{path}"
    response = httpx.request(method, url, json=body, params=query, headers=AUTH)
    assert response.status_code == status, response.text
    return response.json() if response.content else None


def create(world: World, **changes: Any) -> str:
    deployment_id: str = call(world, "POST", "/deployments", {**CREATE, **changes})["id"]
    return deployment_id


def read(world: World, deployment_id: str) -> Any:
    return call(world, "GET", f"/deployments/{deployment_id}")


def update(world: World, deployment_id: str, status: int = 200, **changes: Any) -> Any:
    body = {key: value for key, value in CREATE.items() if key not in {"cloudProvider", "region"}}
    body |= {"environmentVariables": [], **changes}
    return call(world, "POST", f"/deployments/{deployment_id}", body, status)


def pack(*members: tuple[str, str], link: tuple[str, str] | None = None) -> bytes:
    """Return a tar.gz of (path, content), and of one link."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for path, content in members:
            member = tarfile.TarInfo(path)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content.encode()))
        if link:
            member = tarfile.TarInfo(link[0])
            member.type, member.linkname = tarfile.SYMTYPE, link[1]
            tar.addfile(member)
    return buffer.getvalue()


def start(world: World, deployment_id: str, kind: str, **fields: Any) -> Any:
    return call(world, "POST", f"/deployments/{deployment_id}/deploys", {"type": kind, **fields})


def upload(deploy: Any, content: bytes) -> str:
    response = httpx.put(deploy["dagsUploadUrl"], content=content)
    assert response.status_code == 201, response.text
    return response.headers["x-ms-version-id"]


def finalize(world: World, deploy: Any, version: str | None, status: int = 200) -> Any:
    path = f"/deployments/{deploy['deploymentId']}/deploys/{deploy['id']}/finalize"
    return call(world, "POST", path, {} if version is None else {"dagTarballVersion": version}, status)


def deploy_dags(world: World, deployment_id: str, content: str) -> Any:
    deploy = start(world, deployment_id, "DAG_ONLY")
    return finalize(world, deploy, upload(deploy, pack(("dags/a.py", content))))


def deploy_image(world: World, deployment_id: str, content: str, runtime: str = "3.3-2") -> Any:
    deploy = start(world, deployment_id, "IMAGE_ONLY")
    reference = f"{deploy['imageRepository']}:{deploy['imageTag']}"
    files = (("usr/local/airflow/x.txt", digest(content)), ("usr/local/airflow/dags/in_image.py", digest("image")))
    world.registry.put_image(reference, runtime, *files, ("etc/passwd", "0"))
    return finalize(world, deploy, "")


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def wait_for_status(world: World, deployment_id: str, status: str) -> None:
    deadline = time.monotonic() + 5
    while read(world, deployment_id)["status"] != status:
        assert time.monotonic() < deadline, f"never became {status}"
        time.sleep(0.02)


@pytest.mark.parametrize(
    "token", [None, "Bearer nonsense", ASTRO_TOKEN, "Bearer ünï".encode("latin-1").decode("latin-1")]
)
def test_only_the_bearer_of_the_token_is_let_in(world: World, token: str | None) -> None:
    headers = {} if token is None else {"authorization": token.encode("latin-1")}

    response = httpx.get(f"{world.api}/organizations", headers=headers)

    assert response.status_code == 401
    assert response.json()["message"] == "Unauthorized"
    assert response.json()["statusCode"] == 401


def test_organizations_and_workspaces_are_listed_in_their_envelopes(world: World) -> None:
    organizations = httpx.get(f"{world.api}/organizations", headers=AUTH).json()
    workspaces = call(world, "GET", "/workspaces", sorts="name:asc")

    assert (organizations["totalCount"], organizations["organizations"][0]["product"]) == (1, "HOSTED")
    assert workspaces["workspaces"][0]["id"] == WORKSPACE_ID
    assert call(world, "GET", "/clusters") == {"clusters": [], "limit": 20, "offset": 0, "totalCount": 0}


def test_a_deployment_has_every_field_that_the_cli_dereferences(world: World) -> None:
    deployment = read(world, create(world))

    assert [name for name in REQUIRED if deployment.get(name) is None] == []
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


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"offset": -1}])
def test_a_page_that_cannot_be_is_refused(world: World, query: dict[str, Any]) -> None:
    assert "Invalid request" in call(world, "GET", "/deployments", status=400, **query)["message"]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
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
    assert "hunter2" not in httpx.get(f"{world.api}/organizations/{ORGANIZATION_ID}/deployments", headers=AUTH).text
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


def test_image_and_bundle_make_up_the_files(world: World) -> None:
    deployment_id = create(world)

    deploy_image(world, deployment_id, "one")
    assert world.astro.list_files(deployment_id) == [("dags/in_image.py", digest("image")), ("x.txt", digest("one"))]

    deploy_dags(world, deployment_id, "two")
    assert world.astro.list_files(deployment_id) == [("dags/a.py", digest("two")), ("x.txt", digest("one"))]
    assert read(world, deployment_id)["runtimeVersion"] == "3.3-2"


def test_without_dag_deploys_the_images_dags_run(world: World) -> None:
    deployment_id = create(world, isDagDeployEnabled=False)
    deploy = start(world, deployment_id, "IMAGE_AND_DAG")
    assert "dagsUploadUrl" not in deploy
    world.registry.put_image(
        f"{deploy['imageRepository']}:{deploy['imageTag']}", "3.3-2", ("usr/local/airflow/dags/i.py", "0")
    )

    assert finalize(world, deploy, None)["status"] == "DEPLOYED"

    assert world.astro.list_files(deployment_id) == [("dags/i.py", "0")]


def test_an_image_that_is_not_there_fails_the_deploy_and_changes_nothing(world: World) -> None:
    deployment_id = create(world)
    kept = deploy_image(world, deployment_id, "one")
    deploy = start(world, deployment_id, "IMAGE_AND_DAG")

    failed = finalize(world, deploy, upload(deploy, pack(("dags/a.py", "1"))))

    assert failed["status"] == "FAILED"
    after = read(world, deployment_id)
    assert after["imageTag"] == kept["imageTag"] != deploy["imageTag"]
    assert "desiredDagTarballVersion" not in after
    assert dict(world.astro.list_files(deployment_id))["x.txt"] == digest("one")


def test_a_rollback_brings_back_what_ran_after_that_deploy(world: World) -> None:
    deployment_id = create(world)
    deploy_image(world, deployment_id, "one")
    first = deploy_dags(world, deployment_id, "1")
    deploy_image(world, deployment_id, "two")
    deploy_dags(world, deployment_id, "2")

    path = f"/deployments/{deployment_id}/deploys/{first['id']}/rollback"
    back = call(world, "POST", path, {"description": "oh no"})

    assert (back["rollbackFromId"], back["status"], back["description"]) == (first["id"], "DEPLOYED", "oh no")
    assert world.astro.list_files(deployment_id) == [("dags/a.py", digest("1")), ("x.txt", digest("one"))]
    newest = call(world, "GET", f"/deployments/{deployment_id}/deploys", limit=1)["deploys"][0]
    assert newest["id"] == back["id"]
    assert read(world, deployment_id)["desiredDagTarballVersion"] == first["dagTarballVersion"]


def test_only_a_deploy_that_went_through_can_be_rolled_back_to(world: World) -> None:
    deployment_id = create(world)
    deploy = start(world, deployment_id, "DAG_ONLY")

    path = f"/deployments/{deployment_id}/deploys/{deploy['id']}/rollback"

    assert "DEPLOYED" in call(world, "POST", path, {"description": ""}, 400)["message"]


def test_records_come_newest_first_and_keep_their_git_data(world: World) -> None:
    deployment_id = create(world)
    git = {"provider": "GENERIC", "commitSha": "a" * 40, "branch": "dev-x", "remoteUrl": "http://x"}
    first = start(world, deployment_id, "DAG_ONLY", git=git, description="one")
    second = start(world, deployment_id, "DAG_ONLY", description="two")

    records = call(world, "GET", f"/deployments/{deployment_id}/deploys")

    assert [record["id"] for record in records["deploys"]] == [second["id"], first["id"]]
    one = f"/deployments/{deployment_id}/deploys/{first['id']}"
    assert call(world, "GET", one)["git"] == git
    assert call(world, "POST", one, {"description": "new"})["description"] == "new"
    assert (
        call(world, "GET", f"/deployments/{deployment_id}/deploys/clnone", status=404)["message"] == "Deploy not found"
    )


def test_a_deploy_of_another_deployment_is_not_found(world: World) -> None:
    deploy = start(world, create(world), "DAG_ONLY")

    call(world, "GET", f"/deployments/{create(world, name='dev-y')}/deploys/{deploy['id']}", status=404)


def test_a_deploy_is_finalized_once_and_with_what_was_uploaded_for_it(world: World) -> None:
    deploy = start(world, create(world), "DAG_ONLY")
    assert "nothing was uploaded" in finalize(world, deploy, "made-up", 400)["message"]

    finalize(world, deploy, upload(deploy, pack(("dags/a.py", "1"))))

    assert "DEPLOYED already" in finalize(world, deploy, "", 400)["message"]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (pack(("../x.py", "1")), "leaves the bundle"),
        (pack(("/etc/x", "1")), "leaves the bundle"),
        (pack(("dags/../../x", "1")), "leaves the bundle"),
        (pack(link=("dags/l", "../../x")), "outside the bundle"),
        (b"nonsense", "not a readable tar.gz"),
        (gzip.compress(b"short")[:9], "not a readable tar.gz"),
    ],
)
def test_a_bundle_that_leaves_its_folder_or_is_none_is_refused(world: World, content: bytes, word: str) -> None:
    deployment_id = create(world)
    deploy = start(world, deployment_id, "DAG_ONLY")

    assert word in finalize(world, deploy, upload(deploy, content), 400)["message"]

    assert world.astro.list_files(deployment_id) == []


def test_a_link_inside_the_bundle_counts_as_its_text(world: World) -> None:
    deployment_id = create(world)
    deploy = start(world, deployment_id, "DAG_ONLY")

    finalize(world, deploy, upload(deploy, pack(("dags/a.py", "1"), link=("dags/b/l.py", "../a.py"))))

    assert dict(world.astro.list_files(deployment_id))["dags/b/l.py"] == digest("../a.py")


def test_blocks_become_a_blob_in_the_order_of_their_list(world: World) -> None:
    deployment_id = create(world)
    deploy = start(world, deployment_id, "DAG_ONLY")
    content, url = pack(("dags/a.py", "1")), deploy["dagsUploadUrl"]
    for name, block in (("Yg==", content[40:]), ("YQ==", content[:40])):
        assert (
            httpx.put(
                url, params={"sig": url.split("=")[1], "comp": "block", "blockid": name}, content=block
            ).status_code
            == 201
        )

    listed = "<BlockList><Latest>YQ==</Latest><Latest>Yg==</Latest></BlockList>"
    answer = httpx.put(url, params={"sig": url.split("=")[1], "comp": "blocklist"}, content=listed)

    assert answer.status_code == 201
    finalize(world, deploy, answer.headers["x-ms-version-id"])
    assert world.astro.list_files(deployment_id) == [("dags/a.py", digest("1"))]


@pytest.mark.parametrize("query", ["", "?sig=wrong"])
def test_an_upload_needs_its_signature(world: World, query: str) -> None:
    deploy = start(world, create(world), "DAG_ONLY")

    assert httpx.put(deploy["dagsUploadUrl"].split("?")[0] + query, content=b"x").status_code == 403


def test_a_block_list_of_unknown_blocks_is_refused(world: World) -> None:
    url = start(world, create(world), "DAG_ONLY")["dagsUploadUrl"]

    answer = httpx.put(f"{url}&comp=blocklist", content="<BlockList><Latest>YQ==</Latest></BlockList>")

    assert answer.status_code == 400


def test_a_dbt_bundle_has_its_own_address_and_leaves_the_dags_alone(world: World) -> None:
    deployment_id = create(world)
    deploy = start(world, deployment_id, "BUNDLE", bundleMountPath="/dbt/x", bundleType="dbt")

    path = f"/deployments/{deployment_id}/deploys/{deploy['id']}/finalize"
    done = call(world, "POST", path, {"bundleTarballVersion": ""})

    assert "bundleUploadUrl" in deploy
    assert "dagsUploadUrl" not in deploy
    assert done["status"] == "DEPLOYED"
    assert "desiredDagTarballVersion" not in read(world, deployment_id)


@pytest.mark.parametrize(
    "body", [{}, {"type": "NOPE"}, {"type": "DAG_ONLY", "git": {"provider": "X"}}, {"type": "BUNDLE"}]
)
def test_a_wrong_deploy_is_refused(world: World, body: dict[str, Any]) -> None:
    assert "Invalid request" in call(world, "POST", f"/deployments/{create(world)}/deploys", body, 400)["message"]


def test_an_unknown_path_answers_as_the_api_does(world: World) -> None:
    assert call(world, "PATCH", "/deployments", status=404)["statusCode"] == 404
    assert httpx.get(f"{world.api}/organizations/clother/deployments", headers=AUTH).status_code == 404


@pytest.mark.parametrize("content", [b"[]", b"{", b"nonsense"])
def test_a_body_that_is_no_object_is_refused(world: World, content: bytes) -> None:
    url = f"{world.api}/organizations/{ORGANIZATION_ID}/deployments"

    assert httpx.post(url, content=content, headers=AUTH).status_code == 400


def test_a_reset_forgets_everything(world: World) -> None:
    deployment_id = create(world)
    deploy_dags(world, deployment_id, "1")

    world.astro.reset()

    assert call(world, "GET", "/deployments")["totalCount"] == 0
