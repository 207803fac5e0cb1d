"""Recorded cases of the Astro CLI 1.45.0 as rows: what a row holds, how its stage is set, how it is checked.

Rows are shortened: of a Deployment's document and of tables the telling lines, of the rest the whole text. The call
to updates.astronomer.io, which the stand-in leaves out, is missing from the requests, and so is what it may print.
`test_cli_transcripts_coverage` names the recorded cases that are no rows. With ASTRO_CLI the rows run another CLI.
"""

from __future__ import annotations

import base64
import json
import os
import shlex
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from include.deploy_ops.core.errors import DeployOpsError, PermanentError, RetryableError
from include.deploy_ops.hooks.astro.cli_endings import (
    DeploymentExistsError,
    DeploymentGoneError,
    find_applied_id,
    find_success,
)
from include.deploy_ops.process.command import CommandResult
from sandbox.identity import RUNTIME_LABEL
from tests.sandbox.astro.world import Fault
from tests.sandbox.cli.stage import Stage, commit, make_engine, run_git

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    Given = Callable[[Stage], object]
    Meaning = Literal["success", "again", "holds", "gone", "exists"]

USING = "Using an Astro API Token\n"
NOT_FOUND = (
    "the Deployment specified was not found in this workspace. "
    "Your account or API Key may not have access to the deployment specified"
)
AUTH = USING + "Authenticated to localhost \n\n"
VIEW = "localhost:5000/<WS>/deployments/<ID>\n Airflow UI: {}<API>/astro/airflow/<ID>?orgId=<ORG>\n\n"
ACCESS = "\n Access your Deployment:\n\n Deployment View: {}" + VIEW
ABOUT = " The Airflow UI takes about 1 minute to update."
DAGS = (
    "Initiating DAG deploy for: <ID>\nDeployed DAG bundle:  <TIME>\nDeployed Image Tag:  deploy-<TIME>\n{}"
    "\nSuccessfully uploaded DAGs with version <TIME> to Astro. Navigate to the Airflow UI to confirm that your deploy "
    "was successful.{}\n"
)
DAGS_DONE = DAGS.format("", ABOUT) + ACCESS.format("", "")
PUSHED = (
    "Successfully pushed image to Astronomer registry. Navigate to the Astronomer UI for confirmation that your deploy "
    "was successful. To deploy dags only run astro deploy --dags.\n"
) + ACCESS.format("https://", "https://")
PUSH = "Pushing image to Astronomer registry\nLogin Succeeded!\n"
BUNDLE = "Deployed DAG bundle:  <TIME>\n"
TAG = "Deployed Image Tag:  deploy-<TIME>\n"
NO_EFFECT = "Any configured hibernation schedules will not resume until override is removed.\n"
UPLOAD_REFUSED = "Error: PUT http://<API>/astro/upload/<ID>\n" + 80 * "-" + "\nRESPONSE {}\nERROR CODE UNAVAILABLE\n"

# The requests, by short names.
NAMES = {
    "GET /v1/organizations?limit=100&offset=0": "orgs",
    "GET /O/workspaces?limit=1000&offset=0&sorts=name%3Aasc": "workspaces",
    "GET /O/deployments?limit=1000&offset=0&workspaceIds=<WS>": "list",
    "GET /O/deployments?limit=1000&offset=0": "list-all",
    "GET /O/deployments/<ID>": "get",
    "GET /O/deployments/clunknown": "get-unknown",
    "GET /O/deployment-options": "options",
    "GET /O/deployment-options?cloudProvider=AWS&deploymentType=STANDARD": "options-aws",
    "POST /O/deployments": "create",
    "POST /O/deployments/<ID>": "update",
    "DELETE /O/deployments/<ID>": "delete",
    "POST /O/deployments/<ID>/hibernation-override": "override",
    "DELETE /O/deployments/<ID>/hibernation-override": "remove-override",
    "POST /O/deployments/<ID>/deploys": "deploy",
    "PUT /upload/<ID>?sig=s": "upload",
    "PUT /upload/<ID>?blockid=b&comp=block&sig=s": "block",
    "PUT /upload/<ID>?comp=blocklist&sig=s": "blocklist",
    "POST /O/deployments/<ID>/deploys/<ID>/finalize": "finalize",
}
CREATED = "orgs workspaces list options options-aws create list get options update get list get"
UPDATED = "orgs workspaces list list get options update get list get"
DEPLOYED = "orgs get deploy upload finalize"


# What the product makes of an ending.
MEANINGS: dict[type[DeployOpsError] | None, Meaning] = {
    None: "success",
    RetryableError: "again",
    PermanentError: "holds",
    DeploymentGoneError: "gone",
    DeploymentExistsError: "exists",
}
_MARKERS = {
    "version": "Astro CLI Version: ",
    "deploy": "Successfully pushed image to Astronomer registry",
    "deploy --dags": "Successfully uploaded DAGs with version",
    "deployment delete": "Successfully deleted deployment",
    "deployment hibernate": "Successfully overrode to hibernate",
    "deployment wake-up": "Successfully overrode to wake up",
}


@dataclass(frozen=True)
class Case:
    """A recorded case: `out` is all of stdout, or, as a tuple, lines that it holds in this order.

    `means` is what the product makes of the ending, None for a command that it never calls. What `is_recorded` is not
    among the recorded cases: it was seen with the real CLI later.
    """

    name: str
    argv: str
    requests: str = ""
    out: str | tuple[str, ...] = ""
    err: str = ""
    exit: int = 0
    given: tuple[Given, ...] = ()
    means: Meaning | None = None
    is_recorded: bool = True


def make_deployment(stage: Stage) -> None:
    stage.create()


def without_dag_deploys(stage: Stage) -> None:
    stage.create(isDagDeployEnabled=False)


def with_secret(stage: Stage) -> None:
    stage.create(
        environmentVariables=[
            {"key": "STAGE", "isSecret": False, "value": "preview"},
            {"key": "PASSWORD", "isSecret": True, "value": "hunter2"},
        ]
    )


def write_file(**changes: Any) -> Given:
    return lambda stage: stage.write_file(**changes)


def write_text(text: str) -> Given:
    return lambda stage: stage.file.write_text(text)


def plant(match: str, status: int | None, *, times: int = 1, html: bool = False, body: str | None = None) -> Given:
    fault: dict[str, str] = {"body": "<html>", "content_type": "text/html"} if html else {}
    if body is not None:
        fault["body"] = body
    return lambda stage: stage.world.faults.append(Fault(match, status, times=times, **fault))


def take_token(token: str | None) -> Given:
    return lambda stage: setattr(stage, "token", token)


def make_token(**claims: Any) -> str:
    parts = ({"alg": "HS256"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join((*encoded, "x"))


def make_dirty(stage: Stage) -> None:
    (stage.project / "dags" / "a.py").write_text("print(2)\n")


def remove_dags(stage: Stage) -> None:
    shutil.rmtree(stage.project / "dags")
    (stage.project / "dags").mkdir()
    commit(stage.project, "no dags")


def link_dags(stage: Stage) -> None:
    (stage.project / "dags").rename(stage.project / "src")
    (stage.project / "dags").symlink_to("src")
    commit(stage.project, "dags is a link")


def make_dags_a_file(stage: Stage) -> None:
    shutil.rmtree(stage.project / "dags")
    (stage.project / "dags").write_text("no folder")
    commit(stage.project, "dags is a file")


def keep_yaml_alone(stage: Stage) -> None:
    (stage.project / "dags" / "a.py").rename(stage.project / "dags" / "a.yaml")
    commit(stage.project, "no Python")


def remove_ignore_file(stage: Stage) -> None:
    (stage.project / ".dockerignore").unlink()
    commit(stage.project, "no .dockerignore")


def detach(stage: Stage) -> None:
    run_git(stage.project, "checkout", "-q", "--detach")


def add_big_file(stage: Stage) -> None:
    (stage.project / "dags" / "big.bin").write_bytes(os.urandom(5 << 19))
    commit(stage.project, "big")


def leave_project(stage: Stage) -> None:
    (stage.project / ".astro" / "config.yaml").unlink()
    commit(stage.project, "no project")


def add_engine(stage: Stage) -> None:
    """Put an engine into PATH; whatever it says to have pushed is there."""
    make_engine(stage.root / "tools")
    stage.world.registry.stand_in = ({RUNTIME_LABEL: "3.3-2"}, [])


def deploy_image_before(stage: Stage) -> None:
    """Deploy an image, which leaves a rewritten .dockerignore in the worktree."""
    assert stage.run("deploy", stage.id, "-f").returncode == 0
    stage.world.forget_requests()


def create_half(stage: Stage) -> None:
    """Let a create break off after the Deployment is there, before its variables are."""
    plant("POST .*/deployments/cl", 500)(stage)
    assert stage.run("deployment", "create", "--deployment-file", str(stage.file)).returncode == 1
    stage.world.forget_requests()


def delete_one_of_two(stage: Stage) -> None:
    """Make two Deployments and delete the second, which stays the stage's own."""
    stage.create(name="dev-y")
    stage.create()
    stage.call_api("DELETE", f"/deployments/{stage.id}")
    stage.world.forget_requests()


def label(version: str) -> Given:
    return lambda stage: setattr(stage, "engine_version", version)


def break_build(stage: Stage) -> None:
    (stage.project / "Dockerfile").write_text("FROM scratch\nCOPY nothing /x\n")
    commit(stage.project, "broken")


def refuse_login(stage: Stage) -> None:
    stage.engine_refusal = "Error: pinging container registry: connection refused"


NO_WORKSPACE_EFFECT = "no Deployments found in workspace <WS>"
SCHEDULE = {"hibernate_at": "0 20 * * *", "wake_at": "0 6 * * *", "description": "nights", "enabled": True}
SECRET = {"is_secret": True, "key": "PASSWORD", "value": "hunter2"}
STAGE = {"is_secret": False, "key": "STAGE", "value": "preview"}
QUEUE = {"name": "default", "max_worker_count": 10, "min_worker_count": 0, "worker_concurrency": 5, "worker_type": "X9"}
CREATE = "deployment create --deployment-file {file}"
UPDATE = "deployment update {id} --deployment-file {file}"


def check_case(case: Case, stage: Stage) -> None:
    """Run the case's command; hold requests, output and exit code to the record, and the product's judgement too."""
    for prepare in case.given:
        prepare(stage)
    argv = [word.replace("{id}", stage.id).replace("{file}", str(stage.file)) for word in shlex.split(case.argv)]

    result = stage.run(*argv)

    assert [NAMES.get(line, line) for line in stage.requests] == case.requests.split()
    _assert_output(result.stdout, case.out)
    _assert_error(result.stderr, case.err)
    assert result.returncode == case.exit
    if case.means is not None:
        assert judge(argv, result) == case.means


def judge(argv: list[str], result: subprocess.CompletedProcess[str]) -> Meaning:
    """Return what the product makes of the ending."""
    ending = CommandResult(("astro", *argv), result.returncode, result.stdout, result.stderr, 0.0)
    command = " ".join(argv[:2]) if argv[0] == "deployment" or "--dags" not in argv else "deploy --dags"
    try:
        if command in {"deployment create", "deployment update"}:
            find_applied_id("`astro`", ending)
        else:
            find_success("`astro`", ending, _MARKERS[command if command in _MARKERS else argv[0]], needs_dags=True)
    except DeployOpsError as error:
        return MEANINGS[type(error)]
    return "success"


def _assert_output(stdout: str, expected: str | tuple[str, ...]) -> None:
    if isinstance(expected, str):
        assert stdout == expected
        return
    place = 0
    for line in expected:
        found = stdout.find(line, place)
        assert found >= 0, f"{line!r} is not below what came before it in:\n{stdout}"
        place = found + len(line)


def _assert_error(stderr: str, expected: str) -> None:
    if expected.endswith("ERROR CODE UNAVAILABLE\n"):  # the server's own body follows
        assert stderr.startswith(expected)
    else:
        assert stderr == expected
