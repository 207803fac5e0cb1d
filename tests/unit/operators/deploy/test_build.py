"""The source `build`, with Debian's podman for real: image and digest arrive, and no command line shows the token."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.deploy_ops.core.errors import ImageRefusedError, RetryableError
from include.deploy_ops.core.model import ChangeType
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.hooks.registry.registry import AstroRegistryHook
from sandbox.identity import ASTRO_TOKEN, ORGANIZATION_ID, RUNTIME_VERSION, WORKSPACE_ID
from tests.podman import DOCKERFILE, set_up_podman, watch_command_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.worlds.stages.fixtures import Log
    from tests.worlds.stages.stage import Run, Stage

BRANCH = "dev-x"


@pytest.fixture
def podman(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the project build, by podman alone; the CLI would prefer a docker that is installed."""
    set_up_podman(tmp_path, monkeypatch, stage.sandbox.host)
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("podman", "git", "bash", "sh", "env", "crun", "runc", "conmon"):
        for folder in os.environ["PATH"].split(os.pathsep):
            if (Path(folder) / tool).exists():
                tools.joinpath(tool).symlink_to(Path(folder) / tool)
                break
    monkeypatch.setenv("PATH", os.pathsep.join([str(tools), str(Path(sys.executable).parent)]))
    stage.change_project(image=("build",), previews={"build": True})
    return str(tools / "podman")


def push_project(stage: Stage, dockerfile: str = DOCKERFILE) -> str:
    """Push the seeded project with another Dockerfile; return the head."""
    stage.author.start_branch(BRANCH)
    stage.author.folder.joinpath("Dockerfile").write_text(dockerfile)
    return stage.push_more(BRANCH, {"include/more.py": "# more\n"})


def start(stage: Stage, head: str) -> Run:
    """Return a run that comes to its deploy, to a Deployment that is there; what is before it is done."""
    run = stage.start_planned(Verb.DEPLOY, BRANCH, head, stage.make_deployment(BRANCH))
    run.decide(ChangeType.IMAGE, head)
    run.step("image")
    return run


def test_the_image_is_built_and_pushed_and_no_command_line_shows_the_token(stage: Stage, podman: str, log: Log) -> None:
    head = push_project(stage)
    run = start(stage, head)
    assert run.xcoms["image"]["return_value"]["engine"].startswith("podman 4.")
    with watch_command_lines() as watch:
        run.step("deploy")
    assert watch.find(f"{podman} build --format docker")
    pushes = watch.find(f"{podman} push --authfile=")
    assert pushes
    assert watch.find(ASTRO_TOKEN) == []

    deployment = stage.find_deployment(BRANCH)
    image = f"{deployment['imageRepository']}:{deployment['imageTag']}"
    assert pushes[0].strip().endswith(image)
    found = AstroRegistryHook(stage.scope.project.astro_conn_id).find_image(image)
    assert found is not None
    assert found.runtime_version == RUNTIME_VERSION
    assert f"digest: {found.digest}" in log.read()
    files = stage.list_files(deployment["id"])
    assert files.pop(".dockerignore"), "the CLI rewrites it"
    assert files.pop(".astro/config.yaml"), "ours, in place of the branch's"
    assert files.items() <= stage.author.hash_files(head).items()
    assert {"include/more.py", "Dockerfile", "dags/report_revenue.py"} <= files.keys()


@pytest.fixture
def service(podman: str, tmp_path: Path) -> Iterator[str]:
    """Run an engine elsewhere, of which a socket is all that the worker has; give its address.

    Its folder is its own: it would take a Dockerfile there for the one that is sent.
    """
    address = f"unix://{tmp_path}/s"
    command = [podman, "system", "service", "--time=0", address]
    with subprocess.Popen(command, cwd=tmp_path, start_new_session=True, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for_engine(podman, address)
            yield address
        finally:
            process.terminate()


def wait_for_engine(podman: str, address: str) -> None:
    deadline = time.monotonic() + 20
    while subprocess.run([podman, "--url", address, "info"], capture_output=True, check=False).returncode:
        assert time.monotonic() < deadline, "podman's service never answered"
        time.sleep(0.05)


def test_an_engine_elsewhere_is_used_by_docker_host(
    stage: Stage, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", service)
    run = start(stage, push_project(stage))
    assert run.xcoms["image"]["return_value"]["engine"].endswith(f" at {service}")
    with watch_command_lines() as watch:
        run.step("deploy")
    assert watch.find(ASTRO_TOKEN) == []
    assert "include/more.py" in stage.list_files(run.conf["job"]["deployment_id"])


def test_without_our_engine_the_clis_login_would_show_the_token(
    stage: Stage, podman: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the test above looks for is there to be seen: the CLI by itself, as a person runs it."""
    head = push_project(stage)
    run = start(stage, head)
    deployment_id = run.conf["job"]["deployment_id"]
    home = tmp_path / "home"
    home.joinpath(".astro").mkdir(parents=True)
    context = {"domain": "localhost", "organization": ORGANIZATION_ID, "workspace": WORKSPACE_ID}
    local = {"core": f"{stage.sandbox.url}/astro", "platform": "cloud", "registry": stage.sandbox.host}
    settings = {"context": "localhost", "contexts": {"localhost": context}, "local": local}
    home.joinpath(".astro", "config.yaml").write_text(json.dumps(settings))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
    environment = {"ASTRO_HOME": str(home), "ASTRO_API_TOKEN": ASTRO_TOKEN, "ASTRO_TELEMETRY_DISABLED": "1"}
    with hold_login(tmp_path / "tools" / "podman") as let_go, watch_command_lines() as watch:
        process = subprocess.Popen(
            [os.environ["ASTRO_CLI"], "deploy", deployment_id, "-f"],
            cwd=stage.author.folder,
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        while not watch.find(ASTRO_TOKEN) and process.poll() is None:
            watch.look()
        let_go()
        _, said = process.communicate()
    assert process.returncode == 0, said
    assert watch.find(ASTRO_TOKEN)


@contextlib.contextmanager
def hold_login(podman: Path) -> Iterator[Callable[[], None]]:
    """Let every `podman login` wait until it was looked at: the call that is given lets it go, and so does the end."""
    gate, real = podman.with_name("gate"), podman.readlink()
    wait = f'if [ "$1" = login ]; then until [ -e {gate} ]; do {sys.executable} -c pass; done; fi'
    podman.unlink()
    podman.write_text(f'#!/bin/sh\n{wait}\nexec {real} "$@"\n')
    podman.chmod(0o755)
    try:
        yield gate.touch
    finally:
        gate.touch()


def test_what_the_policy_does_not_let_build_any_more_is_not_built(stage: Stage, podman: str) -> None:
    """Also where somebody wrote the image step's answer: the policy is asked again, and no engine is."""
    run = start(stage, push_project(stage))
    stage.change_project(previews={"build": False})
    with watch_command_lines() as watch, pytest.raises(AirflowFailException, match=r"set `previews\.build: true`"):
        run.step("deploy")
    assert watch.find(podman) == []
    assert stage.list_deploys(run.conf["job"]["deployment_id"]) == []


def test_a_refused_push_is_told_and_no_login_follows(stage: Stage, podman: str) -> None:
    run = start(stage, push_project(stage))
    stage.sandbox.plant(face="registry", method="POST", path="/v2/astro/.*/blobs/uploads", status=403, times=None)
    with watch_command_lines() as watch, pytest.raises(ImageRefusedError, match=r"(?s)Pushing by podman 4\..* failed"):
        run.step("deploy")
    assert watch.find("push --authfile=")
    assert watch.find(ASTRO_TOKEN) == []
    assert all(each["status"] != "DEPLOYED" for each in stage.list_deploys(run.conf["job"]["deployment_id"]))


def test_an_engine_that_is_gone_by_the_deploy_is_told(
    stage: Stage, podman: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start(stage, push_project(stage))
    monkeypatch.setenv("CONTAINER_HOST", "unix:///nowhere.sock")
    with pytest.raises(RetryableError, match=r"podman at unix:///nowhere\.sock does not answer \(.*connect"):
        run.step("deploy")
    assert stage.list_deploys(run.conf["job"]["deployment_id"]) == []
