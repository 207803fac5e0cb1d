"""The stand-in against what the Astro CLI 1.45.0 printed, returned and requested: `deploy`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sandbox.cli.case import (
    ACCESS,
    AUTH,
    BUNDLE,
    DAGS,
    DAGS_DONE,
    DEPLOYED,
    PUSH,
    PUSHED,
    TAG,
    USING,
    Case,
    add_big_file,
    add_engine,
    break_build,
    check_case,
    deploy_image_before,
    detach,
    keep_yaml_alone,
    label,
    leave_project,
    link_dags,
    make_dags_a_file,
    make_deployment,
    make_dirty,
    refuse_login,
    remove_dags,
    remove_ignore_file,
    without_dag_deploys,
)
from tests.sandbox.cli.stage import Stage

if TYPE_CHECKING:
    pass

CASES = (
    Case(
        "deploy dags",
        'deploy {id} --dags -f --description "first line it\'s \\"quoted\\" $(x)"',
        DEPLOYED,
        AUTH + DAGS_DONE,
        given=(make_deployment,),
        means="success",
    ),
    Case(
        "deploy dags without -f",
        "deploy {id} --dags",
        DEPLOYED,
        AUTH + DAGS_DONE,
        given=(make_deployment,),
        means="success",
    ),
    Case(
        "deploy dags with workspace",
        "deploy {id} --dags -f --workspace-id clsandboxworkspace0000001",
        DEPLOYED,
        AUTH + DAGS_DONE,
        given=(make_deployment,),
        means="success",
    ),
    Case(
        "deploy dags, wrong workspace",
        "deploy {id} --dags -f --workspace-id clwrong",
        "orgs get",
        AUTH + "Invalid workspace id clwrong was provided through the --workspace-id flag\n",
        given=(make_deployment,),
        means="again",
    ),
    Case(
        "deploy to an unknown id",
        "deploy clunknown --dags -f",
        "orgs get-unknown",
        AUTH,
        "Error: Deployment not found\n",
        1,
        means="again",
    ),
    Case(
        "deploy dags, dirty tree",
        "deploy {id} --dags",
        "orgs",
        USING + "Project directory has uncommitted changes, use `astro deploy [deployment-id] -f` to force deploy.\n",
        given=(make_deployment, make_dirty),
        means="again",
    ),
    Case(
        "deploy dags, dirty tree, -f",
        "deploy {id} --dags -f",
        DEPLOYED,
        AUTH + "Local repository has uncommitted changes, skipping Git metadata retrieval\n" + DAGS_DONE,
        given=(make_deployment, make_dirty),
        means="success",
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
        means="holds",
    ),
    Case(
        "deploy no dags",
        "deploy {id} --dags",
        "orgs get deploy",
        AUTH + "Warning: No DAGs found. This will delete any existing DAGs. Are you sure you want to deploy? (y/n) "
        "Canceling deploy...\n",
        given=(make_deployment, remove_dags),
        means="holds",
    ),
    Case(
        "deploy no dags, -f",
        "deploy {id} --dags -f",
        DEPLOYED,
        AUTH + DAGS_DONE,
        given=(make_deployment, remove_dags),
        means="success",
    ),
    Case(
        "deploy dags of YAML alone, -f",
        "deploy {id} --dags -f",
        DEPLOYED,
        AUTH + DAGS_DONE,
        given=(make_deployment, keep_yaml_alone),
        means="success",
        is_recorded=False,
    ),
    Case(
        "deploy dags that are a link",
        "deploy {id} --dags -f",
        "orgs get deploy",
        AUTH + "Initiating DAG deploy for: <ID>\n",
        "Error: bundle validation failed: symlink <WORK>/project/dags points to <WORK>/project/src which is outside "
        "the bundle directory <WORK>/project/dags\n",
        1,
        (make_deployment, link_dags),
        means="holds",
        is_recorded=False,
    ),
    Case(
        "deploy dags that are a file",
        "deploy {id} --dags -f",
        "orgs get deploy",
        AUTH + "Initiating DAG deploy for: <ID>\n",
        "Error: source is not a directory\n",
        1,
        (make_deployment, make_dags_a_file),
        means="again",
        is_recorded=False,
    ),
    Case(
        "deploy image, dags is a link",
        "deploy {id} -f",
        "orgs get deploy options finalize",
        AUTH + "Building image...\nNo DAGs found. Skipping testing...\n" + PUSH + TAG + PUSHED,
        given=(make_deployment, add_engine, link_dags),
        means="holds",
        is_recorded=False,
    ),
    Case(
        "deploy image, dags of YAML alone",
        "deploy {id} -f",
        "orgs get deploy options finalize",
        AUTH + "Building image...\nNo DAGs found. Skipping testing...\n" + PUSH + TAG + PUSHED,
        given=(make_deployment, add_engine, keep_yaml_alone),
        means="holds",
        is_recorded=False,
    ),
    Case(
        "deploy dags, detached head",
        "deploy {id} --dags -f",
        DEPLOYED,
        AUTH + DAGS_DONE,
        given=(make_deployment, detach),
        means="success",
    ),
    Case(
        "deploy dags over 1 MiB",
        "deploy {id} --dags -f",
        "orgs get deploy block block block blocklist finalize",
        AUTH + DAGS_DONE,
        given=(make_deployment, add_big_file),
        means="success",
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
        means="success",
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
        means="again",
    ),
    Case(
        "deploy image",
        "deploy {id} -f --description 'an image deploy'",
        "orgs get deploy options upload finalize",
        AUTH + "Building image...\n" + PUSH + BUNDLE + TAG + PUSHED,
        given=(make_deployment, add_engine, remove_ignore_file),
        means="success",
    ),
    Case(
        "deploy image only",
        "deploy {id} -f --image",
        "orgs get deploy options finalize",
        AUTH + "Building image...\n" + PUSH + "Image Deploy only. Skipping deploying DAG...\n" + TAG + PUSHED,
        given=(make_deployment, add_engine),
        means="success",
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
        means="again",
    ),
    Case(
        "deploy image by name",
        "deploy {id} -f --image-name localhost/ci-built:1",
        "orgs get deploy options upload finalize",
        AUTH + "Skipping building image...\n" + PUSH + BUNDLE + TAG + PUSHED,
        given=(make_deployment, add_engine),
        means="success",
    ),
    Case(
        "deploy image by name, image only",
        "deploy {id} -f --image --image-name localhost/ci-built:1",
        "orgs get deploy options finalize",
        AUTH + "Skipping building image...\n" + PUSH + "Image Deploy only. Skipping deploying DAG...\n" + TAG + PUSHED,
        given=(make_deployment, add_engine),
        means="success",
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
        means="again",
    ),
    Case(
        "deploy image, build fails",
        "deploy {id} -f",
        "orgs get deploy",
        AUTH + "Building image...\nSTEP 2/2: COPY nothing /x\n\n",
        "Error: an error was encountered while building the image, see the build logs for details\n",
        1,
        (make_deployment, add_engine, break_build),
        means="holds",
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
        means="holds",
    ),
    Case(
        "deploy image, downgraded runtime",
        "deploy {id} -f",
        "orgs get deploy options",
        AUTH + "Building image...\nCannot deploy a downgraded Astro Runtime version. Modify your Astro Runtime version "
        "to 3.1-14 or higher in your Dockerfile\nCanceling deploy...\n",
        exit=1,
        given=(make_deployment, add_engine, label("3.1-2")),
        means="holds",
    ),
    Case(
        "deploy image, unsupported runtime",
        "deploy {id} -f",
        "orgs get deploy options",
        AUTH + "Building image...\nCannot deploy an unsupported Astro Runtime version. Modify your Astro Runtime "
        "version to a supported version in your Dockerfile\nSupported versions: 3.1-14, 3.3-2\nCanceling deploy...\n",
        exit=1,
        given=(make_deployment, add_engine, label("3.9-9")),
        means="again",
    ),
    Case(
        "deploy image, dags/ in .dockerignore",
        "deploy {id} -f",
        "orgs get deploy options upload finalize",
        AUTH + "Building image...\n" + PUSH + BUNDLE + TAG + PUSHED,
        given=(make_deployment, add_engine),
        means="success",
    ),
    Case(
        "deploy dags from the worktree an image deploy rewrote",
        "deploy {id} --dags -f",
        DEPLOYED,
        AUTH + "Local repository has uncommitted changes, skipping Git metadata retrieval\n" + DAGS_DONE,
        given=(make_deployment, add_engine, deploy_image_before),
        means="success",
    ),
    Case(
        "deploy image, registry down",
        "deploy {id} -f",
        "orgs get deploy options",
        AUTH + "Building image...\nPushing image to Astronomer registry\n",
        "Error: failed to execute cmd: exit status 125: Error: pinging container registry: connection refused\n\n",
        1,
        (make_deployment, add_engine, refuse_login),
        means="again",
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
        means="holds",
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_prints_returns_and_requests_what_the_real_cli_does(case: Case, stage: Stage) -> None:
    check_case(case, stage)
