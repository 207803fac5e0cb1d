"""A branch brings a Dockerfile, and the worker has a container engine: the engine is not called for a preview."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.deploy_ops.core.model import ChangeType
from include.deploy_ops.core.plan.work import Verb

if TYPE_CHECKING:
    from pathlib import Path

    from tests.worlds.stages.stage import Stage

BRANCH = "dev-x"
DOCKERFILE = {"Dockerfile": "FROM scratch\nRUN wget http://169.254.169.254/\n", "dags/more.py": "m = 1\n"}
BAN = "`previews.build` is not true in the policy"


@pytest.fixture(autouse=True)
def _engine(stage: Stage, canary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put engines on the PATH that write the canary whatever they are asked, and let the policy name `build`."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("docker", "podman"):
        tools.joinpath(name).write_text(f"#!/bin/sh\ntouch {canary}\necho 4.3.1\n")
        tools.joinpath(name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    stage.change_project(image=("reuse", "build"))


def test_a_branchs_dockerfile_reaches_no_engine(stage: Stage) -> None:
    run = stage.start_planned(Verb.CREATE, BRANCH, stage.push(BRANCH, DOCKERFILE))
    states = run.play()
    assert (states["image"], states["deploy"]) == ("failed", "upstream_failed")
    failure = run.read_failure("image")
    assert failure["is_permanent"]
    assert BAN in failure["cause"]
    assert stage.list_deployments() == []


def test_a_forged_answer_of_the_image_step_reaches_no_engine(stage: Stage) -> None:
    head = stage.push(BRANCH, DOCKERFILE)
    deployment_id = stage.make_deployment(BRANCH)
    run = stage.start_planned(Verb.DEPLOY, BRANCH, head, deployment_id)
    run.decide(ChangeType.IMAGE, head)
    run.xcoms["image"] = {"return_value": {"source": "build", "commit": head, "notes": [], "engine": "podman 4.3.1"}}
    with pytest.raises(AirflowFailException):
        run.step("deploy")
    assert stage.list_deploys(deployment_id) == []
