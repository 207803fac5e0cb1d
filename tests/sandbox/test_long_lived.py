"""The Deployments that the sandbox's Astro begins with: as people make them by hand, and none where that is asked."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.identity import ORGANIZATION_ID, WORKSPACE_ID
from sandbox.long_lived import NAMES
from tests.sandbox.conftest import ASTRO_LOGIN, ROOT, Sandbox

SEED = ROOT / "sandbox" / "seed"


@pytest.fixture
def seeded(sandbox_process: Sandbox) -> Sandbox:
    """Give the server with an Astro as it is when nobody asks for another."""
    assert sandbox_process.client.post("/sandbox/reset").status_code == 204
    return sandbox_process


def ask(sandbox: Sandbox, path: str) -> Any:
    answer = sandbox.client.get(
        f"/astro/v1/organizations/{ORGANIZATION_ID}/{path}", headers={"Authorization": ASTRO_LOGIN[1]}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def list_deployments(sandbox: Sandbox) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(sandbox, f"deployments?workspaceIds={WORKSPACE_ID}")["deployments"]
    return found


def test_astro_begins_with_two_healthy_deployments_of_no_owner(seeded: Sandbox) -> None:
    found = list_deployments(seeded)

    assert [each["name"] for each in found] == ["Staging", "Production"] == list(NAMES)
    for each in found:
        assert (each["status"], each["isDagDeployEnabled"], each["isDevelopmentMode"]) == ("HEALTHY", True, False)
        assert each["dagTarballVersion"] == each["desiredDagTarballVersion"]
        assert "deploy-ops" not in each["description"]


def test_their_settings_are_the_templates_but_for_what_a_preview_is(seeded: Sandbox) -> None:
    template = yaml.safe_load((SEED / "deployments" / "preview.yaml").read_text())["deployment"]
    configuration, (queue,) = template["configuration"], template["worker_queues"]

    for each in list_deployments(seeded):
        shown = {
            "runtime_version": each["astroRuntimeVersion"],
            "dag_deploy_enabled": each["isDagDeployEnabled"],
            "ci_cd_enforcement": each["isCicdEnforced"],
            "scheduler_size": each["schedulerSize"],
            "is_high_availability": each["isHighAvailability"],
            "executor": each["executor"],
            "scheduler_count": each["schedulerReplicas"],
            "workspace_name": each["workspaceName"],
            "deployment_type": each["type"],
            "cloud_provider": each["cloudProvider"],
            "region": each["region"],
            "default_task_pod_cpu": each["defaultTaskPodCpu"],
            "default_task_pod_memory": each["defaultTaskPodMemory"],
            "resource_quota_cpu": each["resourceQuotaCpu"],
            "resource_quota_memory": each["resourceQuotaMemory"],
            "workload_identity": each.get("workloadIdentity", ""),
        }
        own = {"name", "description", "is_development_mode"}
        assert shown == {key: value for key, value in configuration.items() if key not in own}
        (shown_queue,) = each["workerQueues"]
        assert (shown_queue["maxWorkerCount"], shown_queue["astroMachine"]) == (
            queue["max_worker_count"],
            queue["worker_type"],
        )
        assert each["contactEmails"] == template["alert_emails"]
        assert [(one["key"], one["value"]) for one in each["environmentVariables"]] == [("STAGE", each["name"].lower())]


def test_each_runs_the_seed_by_one_deploy_of_somebody_elses(seeded: Sandbox) -> None:
    headers = {"Authorization": "Bearer sandbox-github-token"}
    main = seeded.client.get("/github/api/v3/repos/acme/data-platform/git/ref/heads/main", headers=headers)
    head = main.json()["object"]["sha"]

    for each in list_deployments(seeded):
        (record,) = ask(seeded, f"deployments/{each['id']}/deploys")["deploys"]
        assert (record["type"], record["status"]) == ("IMAGE_AND_DAG", "DEPLOYED")
        assert (record["description"], record["git"]["commitSha"]) == ("Initial deploy", head)
        assert (record["imageTag"], record["dagTarballVersion"]) == (each["imageTag"], each["dagTarballVersion"])
        files = seeded.client.get(f"/sandbox/deployments/{each['id']}/files").json()["files"]
        assert {file["path"]: file["sha256"] for file in files} == hash_seed()


def hash_seed() -> dict[str, str]:
    paths = [path for path in SEED.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {path.relative_to(SEED).as_posix(): hash_file(path) for path in paths}


def hash_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_their_images_can_be_pulled(seeded: Sandbox) -> None:
    for each in list_deployments(seeded):
        repository = each["imageRepository"].partition("/")[2]
        token = seeded.get_token(f"repository:{repository}:pull", login=ASTRO_LOGIN)
        answer = seeded.client.get(
            f"/v2/{repository}/manifests/{each['imageTag']}",
            headers={"Authorization": f"Bearer {token}", "Accept": "application/vnd.oci.image.manifest.v1+json"},
        )
        assert answer.status_code == 200, answer.text


def test_a_reset_brings_them_back_and_leaves_them_out_where_asked(seeded: Sandbox) -> None:
    path = f"/astro/v1/organizations/{ORGANIZATION_ID}/deployments/{list_deployments(seeded)[0]['id']}"
    assert seeded.client.delete(path, headers={"Authorization": ASTRO_LOGIN[1]}).is_success
    assert seeded.client.post("/sandbox/reset").is_success
    assert len(list_deployments(seeded)) == 2

    assert seeded.client.post("/sandbox/reset?astro=empty").is_success
    assert list_deployments(seeded) == []


def test_a_reset_to_something_unknown_is_refused_and_changes_nothing(seeded: Sandbox) -> None:
    before = list_deployments(seeded)

    answer = seeded.client.post("/sandbox/reset?astro=full")

    assert (answer.status_code, "write empty for none" in answer.json()["error"]) == (400, True)
    assert list_deployments(seeded) == before
