"""The stand-in against what the Astro CLI 1.45.0 printed, returned and requested, one row per recorded case.

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

import pytest

from sandbox.identity import RUNTIME_LABEL
from tests.sandbox.astro_world import Fault, World, run_world
from tests.sandbox.cli_stage import Stage, commit, make_engine, run_git, set_stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

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

CASES = (
    Case("version", "version", out="Astro CLI Version: 1.45.0\n"),
    Case("list empty", "deployment list", "orgs list", USING + NO_WORKSPACE_EFFECT + "\n"),
    Case("list empty json", "deployment list --json", "orgs list", USING + '{\n  "deployments": []\n}\n'),
    Case(
        "workspace list json",
        "workspace list --json",
        "orgs workspaces",
        USING
        + '{\n  "workspaces": [\n    {\n      "name": "Data Platform",\n      "id": "<WS>",\n      "isCurrent": true\n'
        + "    }\n  ]\n}\n",
    ),
    Case("inspect in an empty workspace", "deployment inspect clnone", "orgs list", NO_WORKSPACE_EFFECT + "\n"),
    Case(
        "delete in an empty workspace",
        "deployment delete clnone -f",
        "orgs list",
        USING + NO_WORKSPACE_EFFECT + " to delete\n",
    ),
    Case("no token", "deployment list", "list", "", "Error: Unauthorized\n", 1, (take_token(None),)),
    Case(
        "malformed token",
        "deployment list",
        out=USING,
        err="Error: API Token is invalid or malformed\n<USAGE>\n",
        exit=1,
        given=(take_token("not-a-jwt"),),
    ),
    # The recording's server let any token in; this one does not.
    Case(
        "token without permissions",
        "deployment list",
        "list",
        USING,
        "Error: Unauthorized\n",
        1,
        (take_token(make_token(apiTokenId="old")),),
    ),
    Case(
        "expired token",
        "deployment list",
        out=USING + "The given API Token old has expired \n",
        err="Error: API Token is expired\n<USAGE>\n",
        exit=1,
        given=(take_token(make_token(apiTokenId="old", exp=1)),),
    ),
    Case(
        "create",
        CREATE,
        CREATED,
        (
            "deployment:",
            "    environment_variables:",
            "        - is_secret: false",
            "          key: STAGE",
            '          updated_at: "<TIME>"',
            "          value: preview",
            "        name: dev-x",
            "        runtime_version: 3.1-14",
            '        default_task_pod_cpu: "0.25"',
            "        default_task_pod_memory: 0.5Gi",
            '        workload_identity: ""',
            "        - name: default",
            "          max_worker_count: 10",
            "          worker_type: A5",
            "        deployment_id: <ID>",
            "        cluster_id: N/A",
            '        current_tag: ""',
            "        created_at: <TIME>",
            "        deployment_url: localhost:5000/<WS>/deployments/<ID>",
        ),
        given=(write_file(),),
    ),
    Case(
        "create again",
        CREATE,
        "orgs workspaces list",
        err="Error: deployment: dev-x already exists: use deployment update --deployment-file <WORK>/d.yaml instead\n"
        "<USAGE>\n",
        exit=1,
        given=(make_deployment, write_file()),
    ),
    Case(
        "create with a forbidden flag",
        CREATE + " --clean-output",
        "orgs",
        err="Error: --deployment-file cannot be used with other arguments. See --help for usage\n<USAGE>\n",
        exit=1,
        given=(write_file(),),
    ),
    Case(
        "create from an empty file",
        CREATE,
        "orgs",
        err="Error: <WORK>/d.yaml has no content\n<USAGE>\n",
        exit=1,
        given=(write_text(""),),
    ),
    Case(
        "create from a missing file",
        "deployment create --deployment-file nope.yaml",
        "orgs",
        err="Error: open nope.yaml: no such file or directory\n<USAGE>\n",
        exit=1,
    ),
    Case(
        "create with an empty variable",
        CREATE,
        CREATED,
        ("          key: STAGE", '          value: ""', "        name: dev-x"),
        given=(write_file(environment_variables=[{**STAGE, "value": ""}]),),
    ),
    Case(
        "create in an unknown workspace",
        CREATE,
        "orgs workspaces list-all",
        err="Error: deployment: dev-x already exists: use deployment update --deployment-file <WORK>/d.yaml instead\n"
        "<USAGE>\n",
        exit=1,
        given=(make_deployment, write_file(workspace_name="Nowhere")),
    ),
    Case(
        "list",
        "deployment list",
        "orgs list",
        ("Using an Astro API Token", " NAME ", " dev-x ", "3.1-14 (based on Airflow 3.1.7)"),
        given=(make_deployment,),
    ),
    Case(
        "list json",
        "deployment list --json",
        "orgs list",
        (
            '      "name": "dev-x",',
            '      "cloudProvider": "AWS",',
            '      "deploymentId": "<ID>",',
            '      "isRemoteExecutionEnabled": false',
        ),
        given=(make_deployment,),
    ),
    Case(
        "inspect",
        "deployment inspect {id}",
        "orgs list get",
        ("deployment:", "        name: dev-x", "    metadata:", "        status: HEALTHY"),
        given=(make_deployment,),
    ),
    Case(
        "inspect template",
        "deployment inspect {id} --template",
        "orgs list get",
        ("deployment:", '        name: ""', "        description: made for a test", "          worker_type: A5\n\n"),
        given=(make_deployment,),
    ),
    Case(
        "inspect json",
        "deployment inspect {id} -o json",
        "orgs list get",
        ('{\n    "deployment": {', '            "name": "dev-x",', '            "cluster_id": "N/A",'),
        given=(make_deployment,),
    ),
    Case(
        "inspect key",
        "deployment inspect {id} --key metadata.status",
        "orgs list get",
        "HEALTHY\n",
        given=(make_deployment,),
    ),
    Case(
        "inspect unknown key",
        "deployment inspect {id} --key metadata.nope",
        "orgs list get",
        err="Error: requested key metadata.nope not found in deployment\n",
        exit=1,
        given=(make_deployment,),
    ),
    Case(
        "inspect unknown id",
        "deployment inspect clunknown",
        "orgs list",
        err=f"Error: {NOT_FOUND}\n",
        exit=1,
        given=(make_deployment,),
    ),
    Case(
        "update",
        UPDATE,
        UPDATED,
        ("        name: dev-x", "        scheduler_size: MEDIUM", "        deployment_id: <ID>"),
        given=(make_deployment, write_file(scheduler_size="MEDIUM")),
    ),
    Case(
        "update with -f",
        UPDATE + " -f",
        "orgs",
        err="Error: --deployment-file cannot be used with other arguments. See --help for usage\n",
        exit=1,
        given=(make_deployment, write_file()),
    ),
    Case(
        "update of an unknown name",
        UPDATE,
        "orgs workspaces list list",
        err="Error: deployment: nobody does not exist: use deployment create --deployment-file <WORK>/d.yaml instead\n",
        exit=1,
        given=(make_deployment, write_file(name="nobody")),
    ),
    Case(
        "update adds a secret variable",
        UPDATE,
        UPDATED,
        ("          key: STAGE", "        - is_secret: true", "          key: PASSWORD", "          value: null"),
        given=(make_deployment, write_file(environment_variables=[STAGE, SECRET])),
    ),
    Case(
        "update without a list of variables",
        UPDATE,
        UPDATED,
        ("deployment:\n    configuration:",),
        given=(make_deployment, write_file(environment_variables=None)),
    ),
    Case(
        "update with a hibernation schedule",
        UPDATE,
        UPDATED,
        (
            "    hibernation_schedules:",
            "        - hibernate_at: 0 20 * * *",
            "          wake_at: 0 6 * * *",
            "          description: nights",
            "          enabled: true",
        ),
        given=(make_deployment, write_file(hibernation_schedules=[SCHEDULE])),
    ),
    Case(
        "hibernate",
        "deployment hibernate {id} -f",
        "orgs list get override",
        USING + "\nSuccessfully overrode to hibernate until further notice\n" + NO_EFFECT,
        given=(make_deployment,),
    ),
    Case(
        "wake up",
        "deployment wake-up {id} -f",
        "orgs list get override",
        USING + "\nSuccessfully overrode to wake up until further notice\n" + NO_EFFECT,
        given=(make_deployment,),
    ),
    Case(
        "remove override",
        "deployment wake-up {id} --remove-override -f",
        "orgs list get remove-override",
        USING + "\nSuccessfully removed hibernation override\nIf set, hibernation schedule will resume immediately.\n",
        given=(make_deployment,),
    ),
    Case(
        "hibernate without -f",
        "deployment hibernate {id}",
        "orgs list get",
        USING + "\nAre you sure you want to override to hibernate for dev-x Deployment? (y/n) \n"
        "Canceling hibernate override",
        given=(make_deployment,),
    ),
    Case("unknown sub-command", "deployment rollback clx", out="<USAGE>\n"),
    Case("deploy dags", "deploy {id} --dags -f", DEPLOYED, AUTH + DAGS_DONE, given=(make_deployment,)),
    Case("deploy dags without -f", "deploy {id} --dags", DEPLOYED, AUTH + DAGS_DONE, given=(make_deployment,)),
    Case(
        "deploy dags with workspace",
        "deploy {id} --dags -f --workspace-id clsandboxworkspace0000001",
        DEPLOYED,
        AUTH + DAGS_DONE,
        given=(make_deployment,),
    ),
    Case(
        "deploy dags, wrong workspace",
        "deploy {id} --dags -f --workspace-id clwrong",
        "orgs get",
        AUTH + "Invalid workspace id clwrong was provided through the --workspace-id flag\n",
        given=(make_deployment,),
    ),
    Case(
        "deploy to an unknown id",
        "deploy clunknown --dags -f",
        "orgs get-unknown",
        AUTH,
        "Error: Deployment not found\n",
        1,
    ),
    Case(
        "deploy dags, dirty tree",
        "deploy {id} --dags",
        "orgs",
        USING + "Project directory has uncommitted changes, use `astro deploy [deployment-id] -f` to force deploy.\n",
        given=(make_deployment, make_dirty),
    ),
    Case(
        "deploy dags, dirty tree, -f",
        "deploy {id} --dags -f",
        DEPLOYED,
        AUTH + "Local repository has uncommitted changes, skipping Git metadata retrieval\n" + DAGS_DONE,
        given=(make_deployment, make_dirty),
    ),
    Case(
        "deploy outside a project",
        "deploy {id} --dags -f",
        "orgs",
        USING,
        "Error: this is not an Astro project directory.\nChange to another directory or run astro dev init to turn "
        "your working directory into an Astro project\n\n<USAGE>\n",
        1,
        (make_deployment, leave_project),
    ),
    Case(
        "deploy no dags",
        "deploy {id} --dags",
        "orgs get deploy",
        AUTH + "Warning: No DAGs found. This will delete any existing DAGs. Are you sure you want to deploy? (y/n) "
        "Canceling deploy...\n",
        given=(make_deployment, remove_dags),
    ),
    Case(
        "deploy no dags, -f", "deploy {id} --dags -f", DEPLOYED, AUTH + DAGS_DONE, given=(make_deployment, remove_dags)
    ),
    Case(
        "deploy dags, detached head",
        "deploy {id} --dags -f",
        DEPLOYED,
        AUTH + DAGS_DONE,
        given=(make_deployment, detach),
    ),
    Case(
        "deploy dags over 1 MiB",
        "deploy {id} --dags -f",
        "orgs get deploy block block block blocklist finalize",
        AUTH + DAGS_DONE,
        given=(make_deployment, add_big_file),
    ),
    Case(
        "deploy dags --wait",
        "deploy {id} --dags -f --wait --wait-time 20s",
        DEPLOYED + " get",
        AUTH
        + DAGS.format(
            "\nWaiting for the deployment to become healthy…\n\nThis may take a few minutes\n"
            "Deployment dev-x is now healthy\n",
            "",
        )
        + ACCESS.format("", ""),
        given=(make_deployment,),
    ),
    Case(
        "deploy image without an engine",
        "deploy {id} -f",
        "orgs get deploy",
        AUTH + "Building image...\n",
        "Error: Failed to find a container runtime. See the Astro CLI prerequisites for more information. "
        "https://www.astronomer.io/docs/astro/cli/install-cli\n",
        1,
        (make_deployment,),
    ),
    Case(
        "deploy image",
        "deploy {id} -f --description 'an image deploy'",
        "orgs get deploy options upload finalize",
        AUTH + "Building image...\n" + PUSH + BUNDLE + TAG + PUSHED,
        given=(make_deployment, add_engine),
    ),
    Case(
        "deploy image only",
        "deploy {id} -f --image",
        "orgs get deploy options finalize",
        AUTH + "Building image...\n" + PUSH + "Image Deploy only. Skipping deploying DAG...\n" + TAG + PUSHED,
        given=(make_deployment, add_engine),
    ),
    Case(
        "deploy both flags",
        "deploy {id} -f --image --dags",
        "orgs",
        USING,
        "Error: cannot use both --dags and --image together. Run 'astro deploy' to update both your image and dags\n"
        "<USAGE>\n",
        1,
        (make_deployment,),
    ),
    Case(
        "deploy image by name",
        "deploy {id} -f --image-name localhost/ci-built:1",
        "orgs get deploy options upload finalize",
        AUTH + "Skipping building image...\n" + PUSH + BUNDLE + TAG + PUSHED,
        given=(make_deployment, add_engine),
    ),
    Case(
        "deploy image by name, image only",
        "deploy {id} -f --image --image-name localhost/ci-built:1",
        "orgs get deploy options finalize",
        AUTH + "Skipping building image...\n" + PUSH + "Image Deploy only. Skipping deploying DAG...\n" + TAG + PUSHED,
        given=(make_deployment, add_engine),
    ),
    Case(
        "deploy image by unknown name",
        "deploy {id} -f --image-name localhost/nope:1",
        "orgs get deploy",
        AUTH + "Skipping building image...\n",
        "Error: command 'podman tag localhost/nope:1 <NS>/airflow:latest' failed: failed to execute cmd: "
        "exit status 125\n",
        1,
        (make_deployment, add_engine),
    ),
    Case(
        "deploy image, build fails",
        "deploy {id} -f",
        "orgs get deploy",
        AUTH + "Building image...\nSTEP 2/2: COPY nothing /x\n\n",
        "Error: an error was encountered while building the image, see the build logs for details\n",
        1,
        (make_deployment, add_engine, break_build),
    ),
    Case(
        "deploy image without the runtime label",
        "deploy {id} -f",
        "orgs get deploy",
        AUTH
        + "Building image...\nWARNING! The image in your Dockerfile 'scratch' is not based on Astro Runtime and is "
        "not supported. Change your Dockerfile with an image that pulls from 'quay.io/astronomer/astro-runtime' to "
        "proceed.\nCanceling deploy...\n",
        exit=1,
        given=(make_deployment, add_engine, label("")),
    ),
    Case(
        "deploy image, downgraded runtime",
        "deploy {id} -f",
        "orgs get deploy options",
        AUTH + "Building image...\nCannot deploy a downgraded Astro Runtime version. Modify your Astro Runtime version "
        "to 3.1-14 or higher in your Dockerfile\nCanceling deploy...\n",
        exit=1,
        given=(make_deployment, add_engine, label("3.1-2")),
    ),
    Case(
        "deploy image, unsupported runtime",
        "deploy {id} -f",
        "orgs get deploy options",
        AUTH + "Building image...\nCannot deploy an unsupported Astro Runtime version. Modify your Astro Runtime "
        "version to a supported version in your Dockerfile\nSupported versions: 3.1-14, 3.3-2\nCanceling deploy...\n",
        exit=1,
        given=(make_deployment, add_engine, label("3.9-9")),
    ),
    Case(
        "deploy image, registry down",
        "deploy {id} -f",
        "orgs get deploy options",
        AUTH + "Building image...\nPushing image to Astronomer registry\n",
        "Error: failed to execute cmd: exit status 125: Error: pinging container registry: connection refused\n\n",
        1,
        (make_deployment, add_engine, refuse_login),
    ),
    Case(
        "create, unknown executor",
        CREATE,
        "orgs",
        err="Error: executor WRONG is not valid. It can be CeleryExecutor, KubernetesExecutor, or AstroExecutor\n"
        "<USAGE>\n",
        exit=1,
        given=(write_file(executor="WRONG"),),
    ),
    Case(
        "create, no name",
        CREATE,
        "orgs",
        err="Error: missing required field: deployment.configuration.name\n<USAGE>\n",
        exit=1,
        given=(write_file(name=None),),
    ),
    Case(
        "create, unknown key",
        CREATE,
        CREATED,
        ("        name: dev-x", "        scheduler_size: SMALL"),
        given=(write_file(schedular_size="MEDIUM"),),
    ),
    Case(
        "create, unknown worker type",
        CREATE,
        "orgs workspaces list options",
        err="Error: worker queue option is invalid: worker concurrency must be between 1 and 0\n<USAGE>\n",
        exit=1,
        given=(write_file(worker_queues=[QUEUE]),),
    ),
    Case(
        "create, no queue",
        CREATE,
        "orgs workspaces list options-aws create list get update get list get",
        ("        name: dev-x",),
        given=(write_file(worker_queues=None),),
    ),
    Case(
        "create, DAG deploys off",
        CREATE,
        CREATED,
        ("        dag_deploy_enabled: false",),
        given=(write_file(dag_deploy_enabled=False),),
    ),
    Case(
        "fault: list answers 400",
        "deployment list --json",
        "orgs list",
        USING,
        "Error: planted\n",
        1,
        (plant("deployments", 400),),
    ),
    Case(
        "fault: list answers 503",
        "deployment list --json",
        "orgs list",
        USING,
        "Error: planted\n",
        1,
        (plant("deployments", 503),),
    ),
    Case(
        "fault: list answers html",
        "deployment list --json",
        "orgs list",
        USING,
        "Error: failed to perform request, status 502\n",
        1,
        (plant("deployments", 502, html=True),),
    ),
    Case(
        "fault: list answers drop",
        "deployment list --json",
        "orgs list list",
        ('      "name": "dev-x",',),
        given=(make_deployment, plant("deployments", None)),
    ),
    Case(
        "fault: create answers 429",
        CREATE,
        "orgs workspaces list options options-aws create",
        err="Error: planted\n<USAGE>\n",
        exit=1,
        given=(write_file(), plant("POST .*/deployments$", 429)),
    ),
    Case(
        "fault: create answers drop",
        CREATE,
        "orgs workspaces list options options-aws create",
        err='Error: Post "http://<API>/astro/v1/organizations/<ORG>/deployments": EOF\n<USAGE>\n',
        exit=1,
        given=(write_file(), plant("POST .*/deployments$", None)),
    ),
    Case(
        "fault: variables of create answer 500",
        CREATE,
        "orgs workspaces list options options-aws create list get options update",
        err="Error: planted\n<USAGE>\n",
        exit=1,
        given=(write_file(), plant("POST .*/deployments/cl", 500)),
    ),
    Case(
        "fault: create-deploy answers 409",
        "deploy {id} --dags -f",
        "orgs get deploy",
        AUTH,
        "Error: planted\n",
        1,
        (make_deployment, plant("POST .*/deploys$", 409)),
    ),
    Case(
        "fault: create-deploy answers drop",
        "deploy {id} --dags -f",
        "orgs get deploy",
        AUTH,
        'Error: Post "http://<API>/astro/v1/organizations/<ORG>/deployments/<ID>/deploys": EOF\n',
        1,
        (make_deployment, plant("POST .*/deploys$", None)),
    ),
    Case(
        "fault: upload answers 403",
        "deploy {id} --dags -f",
        "orgs get deploy upload",
        AUTH + "Initiating DAG deploy for: <ID>\n",
        UPLOAD_REFUSED.format("403: 403 Forbidden"),
        1,
        (make_deployment, plant("PUT /upload", 403)),
    ),
    Case(
        "fault: upload answers 500",
        "deploy {id} --dags -f",
        "orgs get deploy upload upload upload upload",
        AUTH + "Initiating DAG deploy for: <ID>\n",
        UPLOAD_REFUSED.format("500: 500 Internal Server Error"),
        1,
        (make_deployment, plant("PUT /upload", 500, times=9)),
    ),
    Case(
        "fault: upload answers drop",
        "deploy {id} --dags -f",
        "orgs get deploy upload upload upload upload",
        AUTH + "Initiating DAG deploy for: <ID>\n",
        'Error: Put "http://<API>/astro/upload/<ID>?sig=s": EOF\n',
        1,
        (make_deployment, plant("PUT /upload", None, times=9)),
    ),
    Case(
        "fault: finalize answers 500",
        "deploy {id} --dags -f",
        DEPLOYED,
        AUTH + "Initiating DAG deploy for: <ID>\n",
        "Error: planted\n",
        1,
        (make_deployment, plant("finalize", 500)),
    ),
    Case(
        "fault: finalize answers drop",
        "deploy {id} --dags -f",
        DEPLOYED,
        AUTH + "Initiating DAG deploy for: <ID>\n",
        'Error: Post "http://<API>/astro/v1/organizations/<ORG>/deployments/<ID>/deploys/<ID>/finalize": EOF\n',
        1,
        (make_deployment, plant("finalize", None)),
    ),
    Case(
        "fault: delete answers 403",
        "deployment delete {id} -f",
        "orgs list get delete",
        USING,
        "Error: planted\n",
        1,
        (make_deployment, plant("DELETE", 403)),
    ),
    Case(
        "fault: hibernate answers 500",
        "deployment hibernate {id} -f",
        "orgs list get override",
        USING,
        "Error: planted\n",
        1,
        (make_deployment, plant("hibernation-override", 500)),
    ),
    Case(
        "fault: organizations answer 500",
        "deployment list --json",
        "orgs list",
        ('      "name": "dev-x",',),
        given=(make_deployment, plant("organizations\\?", 500)),
    ),
    Case(
        "fault: the look of delete fails",
        "deployment delete {id} -f",
        "orgs list",
        USING,
        f"Error: {NOT_FOUND}: planted\n",
        1,
        (make_deployment, plant("deployments\\?", 500)),
    ),
    Case(
        "deploy dags where DAG deploys are off",
        "deploy {id} --dags -f",
        "orgs get deploy",
        AUTH,
        "Error: DAG-only deploys are not enabled for this Deployment. Run 'astro deployment update <ID> --dag-deploy "
        "enable' to enable DAG-only deploys\n",
        1,
        (without_dag_deploys,),
    ),
    Case(
        "delete without -f",
        "deployment delete {id}",
        "orgs list get",
        USING + "\nAre you sure you want to delete the dev-x Deployment? (y/n) Canceling deployment deletion\n",
        given=(make_deployment,),
    ),
    Case(
        "delete",
        "deployment delete {id} -f",
        "orgs list get delete",
        USING + "\nSuccessfully deleted deployment dev-x\n",
        given=(make_deployment,),
    ),
    Case(
        "delete of an unknown id",
        "deployment delete clunknown -f",
        "orgs list",
        USING,
        f"Error: {NOT_FOUND}\n",
        1,
        (make_deployment,),
    ),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with run_world(tmp_path_factory.mktemp("astro")) as running:
        yield running


@pytest.fixture
def stage(world: World, tmp_path: Path) -> Stage:
    return set_stage(world, tmp_path)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_prints_returns_and_requests_what_the_real_cli_does(case: Case, stage: Stage) -> None:
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
