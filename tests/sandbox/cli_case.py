"""Recorded cases of the Astro CLI 1.45.0 as rows: what a row holds, how its stage is set, how it is checked.

Rows are shortened: of a Deployment's document and of tables the telling lines, of the rest the whole text. The call
to updates.astronomer.io, which the stand-in leaves out, is missing from the requests, and so is what it may print.
"""

from __future__ import annotations

import base64
import json
import os
import shlex
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.identity import RUNTIME_LABEL
from tests.sandbox.astro_world import Fault
from tests.sandbox.cli_stage import Stage, commit, make_engine, run_git

if TYPE_CHECKING:
    from collections.abc import Callable

    Given = Callable[[Stage], object]

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


@dataclass(frozen=True)
class Case:
    """A recorded case: `out` is all of stdout, or, as a tuple, lines that it holds in this order."""

    name: str
    argv: str
    requests: str = ""
    out: str | tuple[str, ...] = ""
    err: str = ""
    exit: int = 0
    given: tuple[Given, ...] = ()


def make_deployment(stage: Stage) -> None:
    stage.create()


def without_dag_deploys(stage: Stage) -> None:
    stage.create(isDagDeployEnabled=False)


def write_file(**changes: Any) -> Given:
    return lambda stage: stage.write_file(**changes)


def write_text(text: str) -> Given:
    return lambda stage: stage.file.write_text(text)


def plant(match: str, status: int | None, *, times: int = 1, html: bool = False) -> Given:
    fault = {"body": "<html>", "content_type": "text/html"} if html else {}
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
    """Run the case's command and hold requests, output and exit code to the record."""
    for prepare in case.given:
        prepare(stage)
    argv = [word.replace("{id}", stage.id).replace("{file}", str(stage.file)) for word in shlex.split(case.argv)]

    result = stage.run(*argv)

    assert [NAMES.get(line, line) for line in stage.requests] == case.requests.split()
    _assert_output(result.stdout, case.out)
    _assert_error(result.stderr, case.err)
    assert result.returncode == case.exit


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
