"""The stand-in against what the Astro CLI 1.45.0 printed, returned and requested: everything but `deploy`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sandbox.astro_world import World, run_world
from tests.sandbox.cli_case import (
    CREATE,
    CREATED,
    NO_EFFECT,
    NO_WORKSPACE_EFFECT,
    NOT_FOUND,
    QUEUE,
    SCHEDULE,
    SECRET,
    STAGE,
    UPDATE,
    UPDATED,
    USING,
    Case,
    check_case,
    make_deployment,
    make_token,
    take_token,
    write_file,
    write_text,
)
from tests.sandbox.cli_stage import Stage, set_stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
    Case(
        "workspace list",
        "workspace list",
        "orgs workspaces",
        USING + " NAME              ID                            \n\033[1;32m Data Platform     <WS>     \033[0m\n",
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
    check_case(case, stage)
