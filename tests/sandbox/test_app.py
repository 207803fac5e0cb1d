"""The sandbox as a process: how it starts, what it claims, how it ends, and that its parts know each other."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.data_dir import DataDir, DataDirError
from sandbox.identity import ASTRO_TOKEN, GITHUB_TOKEN, ORGANIZATION_ID, RUNTIME_VERSION, WORKSPACE_ID
from tests.sandbox.conftest import ASTRO_LOGIN, ROOT, Sandbox, start_sandbox

NEW_DEPLOYMENT = {
    "name": "dev-x",
    "workspaceId": WORKSPACE_ID,
    "type": "STANDARD",
    "executor": "CELERY",
    "schedulerSize": "SMALL",
    "isCicdEnforced": False,
    "isDagDeployEnabled": True,
    "isHighAvailability": False,
    "cloudProvider": "AWS",
    "region": "us-east-1",
    "astroRuntimeVersion": RUNTIME_VERSION,
}


def run_to_its_end(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sandbox", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)


def test_answers_on_every_face(sandbox: Sandbox) -> None:
    assert sandbox.client.get("/sandbox/health").json() == {"status": "ok"}
    assert sandbox.client.get("/v2/").status_code == 401
    assert sandbox.client.get("/github/api/v3/repos/acme/data-platform").status_code == 401
    assert sandbox.client.get("/astro/v1/organizations").status_code == 401
    assert sandbox.client.get("/elsewhere").status_code == 404


def push_commit(sandbox: Sandbox, folder: Path, branch: str) -> str:
    """Clone, commit one change of everything but the DAGs, push it as a branch and return the commit."""

    def run_git(*arguments: str) -> str:
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_TERMINAL_PROMPT": "0",
        }
        author = ("-c", "user.name=A", "-c", "user.email=a@b.example")
        run = subprocess.run(
            ["git", *author, *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True
        )
        return run.stdout.strip()

    url = sandbox.url.replace("http://", f"http://author:{GITHUB_TOKEN}@") + "/github/acme/data-platform.git"
    run_git("clone", "-q", url, ".")
    (folder / "include" / "new.py").write_text("NEW = True")
    run_git("add", "-A")
    run_git("commit", "-qm", "Add a module")
    run_git("push", "-q", "origin", f"HEAD:{branch}")
    return run_git("rev-parse", "HEAD")


def await_build(sandbox: Sandbox, sha: str) -> dict[str, Any]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for build in sandbox.client.get("/sandbox/ci").json()["builds"]:
            if build["sha"] == sha and build["state"] != "queued":
                return dict(build)
        time.sleep(0.05)
    pytest.fail(f"the CI has not built {sha}")


def copy_image(sandbox: Sandbox, source: str, tag: str, target: str, target_tag: str) -> None:
    """Copy an image from the CI's part of the registry to Astro's, as a deploy does."""
    rights = f"repository:{source}:pull", f"repository:{target}:pull,push"
    headers = {"Authorization": "Bearer " + sandbox.get_token(*rights, login=ASTRO_LOGIN)}
    manifest = sandbox.client.get(f"/v2/{source}/manifests/{tag}", headers=headers)
    for blob in [manifest.json()["config"], *manifest.json()["layers"]]:
        mount = {"mount": blob["digest"], "from": source}
        mounted = sandbox.client.post(f"/v2/{target}/blobs/uploads/", params=mount, headers=headers)
        assert mounted.status_code == 201, mounted.text
    headers["Content-Type"] = manifest.headers["content-type"]
    put = sandbox.client.put(f"/v2/{target}/manifests/{target_tag}", content=manifest.content, headers=headers)
    assert put.status_code == 201, put.text


def test_a_push_becomes_an_image_and_the_image_a_deployed_project(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.client.post("/sandbox/settings", json={"ci_delay_s": 0.1})
    sha = push_commit(sandbox, tmp_path, "dev-x")
    built = {"repository": "acme/data-platform", "sha": sha, "branch": "dev-x", "state": "done", "reason": None}
    assert await_build(sandbox, sha) == built

    api = f"/astro/v1/organizations/{ORGANIZATION_ID}/deployments"
    headers = {"Authorization": f"Bearer {ASTRO_TOKEN}"}
    deployment = sandbox.client.post(api, json=NEW_DEPLOYMENT, headers=headers).raise_for_status().json()
    deploys = f"{api}/{deployment['id']}/deploys"
    deploy = sandbox.client.post(deploys, json={"type": "IMAGE_ONLY"}, headers=headers).raise_for_status().json()
    host, _, repository = deploy["imageRepository"].partition("/")
    assert host == sandbox.host
    copy_image(sandbox, "acme/data-platform", sha, repository, deploy["imageTag"])
    final = sandbox.client.post(f"{deploys}/{deploy['id']}/finalize", json={}, headers=headers)
    assert final.raise_for_status().json()["status"] == "DEPLOYED"

    files = sandbox.client.get(f"/sandbox/deployments/{deployment['id']}/files").json()["files"]
    deployed = {file["path"]: file["sha256"] for file in files}
    assert deployed["include/new.py"] == hashlib.sha256(b"NEW = True").hexdigest()
    committed = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert set(deployed) == {path for path in committed if not path.startswith((".git/", "dags/"))}


def test_the_seeded_heads_have_images_from_the_start(sandbox: Sandbox) -> None:
    builds = sandbox.client.get("/sandbox/ci").json()["builds"]

    assert {build["branch"] for build in builds} == {"main", "staging", "astro_deploy"}
    headers = {"Authorization": "Bearer " + sandbox.get_token("repository:acme/data-platform:pull")}
    for build in builds:
        assert build["state"] == "done"
        answer = sandbox.client.head(f"/v2/acme/data-platform/manifests/{build['sha']}", headers=headers)
        assert answer.status_code == 200


def test_a_taken_port_is_said_and_exits_1_leaving_the_data_of_the_other_alone(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "kept").touch()

    ended = run_to_its_end("--port", sandbox.url.rpartition(":")[2], "--data", str(tmp_path))

    assert ended.returncode == 1
    assert f"cannot listen on {sandbox.host} (Address already in use): pass another --port" in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_without_git_it_says_so_and_exits_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    ended = run_to_its_end("--port", "0", "--data", str(tmp_path / "data"))

    assert ended.returncode == 1
    assert ended.stderr == "sandbox: the sandbox needs git, and PATH has none: install it\n"
    assert not (tmp_path / "data").exists()


def test_a_folder_with_files_of_others_is_never_emptied(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")

    ended = run_to_its_end("--port", "0", "--data", str(tmp_path))

    assert ended.returncode == 1
    assert "holds files that are not the sandbox's: pass --data with an empty folder" in ended.stderr
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_two_servers_never_share_a_folder(tmp_path: Path) -> None:
    held = DataDir(tmp_path)

    with pytest.raises(DataDirError, match="another sandbox uses"):
        DataDir(tmp_path)
    (tmp_path / "stale").mkdir()
    (tmp_path / "stale" / "file").touch()
    (tmp_path / ".kept").touch()
    held.empty()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".deploy-ops-sandbox", ".kept"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_even_with_a_request_in_flight(tmp_path: Path, number: signal.Signals) -> None:
    with start_sandbox(tmp_path / "data") as running:
        running.plant(face="registry", delay_s=60)
        stream = httpx.Client(base_url=running.url, timeout=httpx.Timeout(20, read=0.2))
        with pytest.raises(httpx.ReadTimeout):
            stream.get("/v2/")
        begun = time.monotonic()
        running.process.send_signal(number)
        assert running.process.wait(10) == 0
        assert time.monotonic() - begun < 6
        stream.close()
