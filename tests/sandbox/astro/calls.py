"""Calls of Astro's API in the tests' words. Every one asserts its status."""

from __future__ import annotations

import hashlib
import io
import tarfile
import time
from typing import TYPE_CHECKING, Any

from sandbox.identity import ASTRO_TOKEN, ORGANIZATION_ID, WORKSPACE_ID

if TYPE_CHECKING:
    from tests.sandbox.astro.world import World

AUTH = {"authorization": f"Bearer {ASTRO_TOKEN}"}
FIXED = {"cloudProvider", "region", "astroRuntimeVersion"}  # of an update no part
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


def call(world: World, method: str, path: str, body: Any = None, status: int = 200, **query: Any) -> Any:
    """Ask the API; `path` continues the organization's."""
    url = f"{world.api}/organizations/{ORGANIZATION_ID}{path}"
    response = world.client.request(method, url, json=body, params=query, headers=AUTH)
    assert response.status_code == status, response.text
    return response.json() if response.content else None


def create(world: World, **changes: Any) -> str:
    deployment_id: str = call(world, "POST", "/deployments", {**CREATE, **changes})["id"]
    return deployment_id


def read(world: World, deployment_id: str) -> Any:
    return call(world, "GET", f"/deployments/{deployment_id}")


def update(world: World, deployment_id: str, status: int = 200, **changes: Any) -> Any:
    body = {key: value for key, value in CREATE.items() if key not in FIXED}
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


def upload(world: World, deploy: Any, content: bytes) -> str:
    response = world.client.put(deploy["dagsUploadUrl"], content=content)
    assert response.status_code == 201, response.text
    return response.headers["x-ms-version-id"]


def finalize(world: World, deploy: Any, version: str | None, status: int = 200) -> Any:
    path = f"/deployments/{deploy['deploymentId']}/deploys/{deploy['id']}/finalize"
    return call(world, "POST", path, {} if version is None else {"dagTarballVersion": version}, status)


def deploy_dags(world: World, deployment_id: str, content: str) -> Any:
    deploy = start(world, deployment_id, "DAG_ONLY")
    return finalize(world, deploy, upload(world, deploy, pack(("dags/a.py", content))))


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
