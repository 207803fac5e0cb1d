"""Who the stand-in is to the API: token, headers, workspace, planted faults, bodies from files, and its entry."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from sandbox.cli.runtime_version import can_deploy
from sandbox.identity import ASTRO_TOKEN, ORGANIZATION_ID, WORKSPACE_ID
from tests.sandbox.astro.world import Fault
from tests.sandbox.cli.stage import ASTRO, OTHER_CLI, Stage

if TYPE_CHECKING:
    pass

only_the_stand_in = pytest.mark.skipif(bool(OTHER_CLI), reason="only the stand-in has planted faults")


def find_body(stage: Stage, line_end: str) -> Any:
    place = next(i for i, line in enumerate(stage.requests) if line.endswith(line_end))
    return stage.world.bodies[place]


QUEUE = {
    "astroMachine": "A5",
    "isDefault": True,
    "maxWorkerCount": 10,
    "minWorkerCount": 0,
    "name": "default",
    "workerConcurrency": 5,
}
COMMON = {
    "defaultTaskPodCpu": "0.25",
    "defaultTaskPodMemory": "0.5Gi",
    "description": "made for a test",
    "executor": "CELERY",
    "isCicdEnforced": False,
    "isDagDeployEnabled": True,
    "isHighAvailability": False,
    "name": "dev-x",
    "resourceQuotaCpu": "10",
    "resourceQuotaMemory": "20Gi",
    "scalingSpec": {"hibernationSpec": {"schedules": []}},
    "schedulerSize": "SMALL",
    "type": "STANDARD",
    "workspaceId": WORKSPACE_ID,
}


def test_create_sends_the_deployment_without_and_then_with_its_variables(stage: Stage) -> None:
    stage.write_file()

    assert stage.run("deployment", "create", "--deployment-file", str(stage.file)).returncode == 0

    assert find_body(stage, "POST /O/deployments") == {
        **COMMON,
        "astroRuntimeVersion": "3.1-14",
        "cloudProvider": "AWS",
        "isDevelopmentMode": True,
        "region": "us-east-1",
        "workerQueues": [{**QUEUE, "id": ""}],
    }
    queue = stage.call_api("GET", "/deployments")["deployments"][0]["workerQueues"][0]
    assert find_body(stage, "POST /O/deployments/<ID>") == {
        **COMMON,
        "contactEmails": None,
        "environmentVariables": [{"isSecret": False, "key": "STAGE", "value": "preview"}],
        "workerQueues": [{**QUEUE, "id": queue["id"]}],
    }


def test_update_sends_a_listed_secret_without_its_value_and_forgets_an_unlisted_one(stage: Stage) -> None:
    stage.create(environmentVariables=[{"key": key, "isSecret": True, "value": "s"} for key in ("KEPT", "LOST")])
    stage.write_file(environment_variables=[{"is_secret": True, "key": "KEPT", "value": None}])

    stage.run("deployment", "update", stage.id, "--deployment-file", str(stage.file))

    assert find_body(stage, "POST /O/deployments/<ID>")["environmentVariables"] == [{"key": "KEPT", "isSecret": True}]
    variables = stage.call_api("GET", f"/deployments/{stage.id}")["environmentVariables"]
    assert [(item["key"], "value" in item) for item in variables] == [("KEPT", False)]


def test_a_template_that_inspect_prints_can_be_used_to_create_again(stage: Stage) -> None:
    stage.create(contactEmails=["a@example.com"])
    stage.run("deployment", "inspect", stage.id, "--template")
    document = yaml.safe_load(stage.run("deployment", "inspect", stage.id, "--template").stdout)
    document["deployment"]["configuration"]["name"] = "dev-y"
    stage.file.write_text(yaml.safe_dump(document))

    result = stage.run("deployment", "create", "--deployment-file", str(stage.file))

    assert result.returncode == 0, result.stderr
    printed = yaml.safe_load(result.stdout)["deployment"]
    assert printed["configuration"]["name"] == "dev-y"
    assert printed["alert_emails"] == ["a@example.com"]


@pytest.mark.parametrize("text", ["yes", "3.10", "2026-01-01", "a: b", "# c", "multi\nline", "- x", "'", "ünï", ""])
def test_the_printed_document_reads_back(stage: Stage, text: str) -> None:
    stage.create(description=text)

    printed = yaml.safe_load(stage.run("deployment", "inspect", stage.id).stdout)

    assert printed["deployment"]["configuration"]["description"] == text


def test_every_call_carries_the_headers_of_the_real_client(stage: Stage) -> None:
    stage.run("deployment", "list")

    for headers in stage.world.headers:
        assert headers["authorization"] == f"Bearer {ASTRO_TOKEN}"
        assert headers["user-agent"] == "astro-cli/1.45.0"
        assert headers["x-astro-client-identifier"] == "cli"
        assert headers["x-astro-client-version"] == "1.45.0"
        assert headers["x-client-os-identifier"] == "linux-amd64"


def test_the_token_is_stored_in_clear_text_and_used_without_the_variable(stage: Stage) -> None:
    stage.run("deployment", "list")
    stage.token = None

    result = stage.run("deployment", "list")

    assert result.returncode == 0
    stored = yaml.safe_load((stage.home / ".astro" / "config.yaml").read_text())["contexts"]["localhost"]
    assert stored["token"] == f"Bearer {ASTRO_TOKEN}"
    assert (stored["organization"], stored["organization_product"]) == (ORGANIZATION_ID, "HOSTED")


def test_no_workspace_anywhere_is_an_error(stage: Stage) -> None:
    stage.token = None
    stage.write_config(contexts={"localhost": {"domain": "localhost"}})

    result = stage.run("deployment", "delete", "x", "-f")

    assert result.returncode == 1
    assert result.stderr.startswith("Error: failed to find a valid Workspace: failed to get current Workspace: ")


def test_the_projects_config_overrides_the_homes(stage: Stage) -> None:
    (stage.project / ".astro" / "config.yaml").write_text("local:\n  core: http://127.0.0.1:1/astro\n")
    stage.token = None

    result = stage.run("deployment", "list")

    assert result.returncode == 1
    assert "connection refused" in result.stderr


def test_an_empty_id_means_the_only_deployment(stage: Stage) -> None:
    stage.create()

    result = stage.run("deployment", "delete", "", "-f")

    assert "Only one Deployment was found. Using the following Deployment by default: " in result.stdout
    assert "Successfully deleted deployment dev-x" in result.stdout


def test_an_empty_id_among_several_is_refused(stage: Stage) -> None:
    stage.create()
    stage.create(name="dev-y")

    result = stage.run("deployment", "delete", "", "-f")

    assert (result.returncode, result.stderr) == (1, "Error: invalid Deployment selected\n")


def test_only_development_deployments_hibernate(stage: Stage) -> None:
    stage.create(isDevelopmentMode=False)

    result = stage.run("deployment", "hibernate", stage.id, "-f")

    assert result.stderr == "Error: the Deployment specified is not a development Deployment\n"


def test_hibernating_for_a_while_sends_its_end(stage: Stage) -> None:
    stage.create()

    result = stage.run("deployment", "hibernate", stage.id, "-f", "--for", "1h30m")

    assert (
        "Successfully overrode to hibernate until <TIME>\nIf set, hibernation schedule will resume in" in result.stdout
    )
    assert stage.call_api("GET", f"/deployments/{stage.id}")["status"] == "HIBERNATING"


def test_a_success_that_is_not_json_makes_it_panic(stage: Stage) -> None:
    stage.world.faults.append(Fault("deployments", 200, body="<html>", content_type="text/html"))

    result = stage.run("deployment", "list")

    assert result.returncode == 2
    assert result.stderr.startswith("panic: ")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["deployment", "list", "--nope"], "unknown flag: --nope"),
        (["deploy", "a", "b"], "accepts at most 1 arg(s), received 2"),
        (["deploy", "--image-name"], "flag needs an argument: --image-name"),
        (["deploy", "-z"], "unknown shorthand flag: 'z' in -z"),
    ],
)
def test_a_wrong_line_is_refused_before_any_request(stage: Stage, argv: list[str], message: str) -> None:
    result = stage.run(*argv)

    assert (result.returncode, result.stderr) == (1, f"Error: {message}\n<USAGE>\n")
    assert stage.requests == []


def test_an_unknown_command_is_an_error(stage: Stage) -> None:
    said = stage.run("nope").stderr
    assert said == """Error: unknown command "nope" for "astro"\nRun 'astro --help' for usage.\n"""


@only_the_stand_in
def test_a_planted_fault_ends_a_deploy_with_success_and_nothing_done(stage: Stage) -> None:
    stage.create()
    stage.world.cli_fault = {"exit_0_without_deploying": True}

    result = stage.run("deploy", stage.id, "--dags", "-f")

    assert (result.returncode, result.stdout) == (0, "Using an Astro API Token\n")
    assert stage.call_api("GET", f"/deployments/{stage.id}/deploys")["deploys"] == []


@only_the_stand_in
def test_a_planted_fault_ends_with_its_exit_code_and_text(stage: Stage) -> None:
    stage.world.cli_fault = {"exit": 3, "stderr": "Error: planted"}

    result = stage.run("deployment", "list")

    assert (result.returncode, result.stderr) == (3, "Error: planted\n")


def test_a_planted_hang_outlasts_a_time_limit(stage: Stage) -> None:
    stage.world.cli_fault = {"hang_s": 60}
    environment = {"PATH": os.environ["PATH"], "ASTRO_HOME": str(stage.home), "ASTRO_API_TOKEN": ASTRO_TOKEN}

    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run([sys.executable, ASTRO, "deployment", "list"], env=environment, timeout=1, check=False)


def test_it_starts_by_its_first_line_from_any_directory(tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"

    result = subprocess.run([ASTRO, "version"], cwd=tmp_path, env={"PATH": path}, capture_output=True, check=True)

    assert result.stdout == b"Astro CLI Version: 1.45.0\n"


@pytest.mark.skipif(not (ASTRO.parents[2] / ".venv" / "bin" / "python").exists(), reason="the project has no .venv")
def test_an_interpreter_without_pyyaml_hands_over_to_the_projects_own(tmp_path: Path) -> None:
    bare = [sys.executable, "-S", str(ASTRO), "version"]  # without site-packages

    result = subprocess.run(bare, cwd=tmp_path, env={"PATH": "/usr/bin:/bin"}, capture_output=True, check=True)

    assert result.stdout == b"Astro CLI Version: 1.45.0\n"


@pytest.mark.parametrize(
    ("version", "current", "may"),
    [
        ("3.3-2", "3.3-2", True),
        ("3.3-2", "3.1-14", True),
        ("3.1-2", "3.1-14", False),
        ("3.3-2", "12.1.0", True),
        ("3.3-2", "11.9.0", False),
        ("12.1.0", "3.1-14", False),
        ("3.3-2-base", "3.1-14", False),
        ("9.9-9", "3.1-14", False),
        ("", "", True),
    ],
)
def test_which_runtime_may_follow_which(version: str, current: str, may: bool) -> None:
    assert can_deploy(version, current, ["3.1-14", "3.3-2", "12.1.0", "3.1-2"]) is may
