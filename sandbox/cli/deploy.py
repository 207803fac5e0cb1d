"""`astro deploy`: its checks in their order, the deploy record, the DAGs, and the end of it all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.cli import git, ignore_file
from sandbox.cli.bundle import has_dag_files, is_airflow_3, upload_dags
from sandbox.cli.config import DOMAIN
from sandbox.cli.document import name_page
from sandbox.cli.errors import CliError, StopError
from sandbox.cli.flags import Line, read_wait
from sandbox.cli.image import ship_image
from sandbox.cli.lookup import find_deployment, get_deployment, wait_until_healthy
from sandbox.cli.terminal import ask, say

if TYPE_CHECKING:
    from sandbox.cli.session import Session

_WAIT_DEFAULT = "300s"
_FIRST_WAIT_DAGS_S, _FIRST_WAIT_IMAGE_S = 30.0, 90.0
_NO_DAGS = "Warning: No DAGs found. This will delete any existing DAGs. Are you sure you want to deploy? (y/n) "


def run_deploy(session: Session, line: Line) -> None:
    """Deploy the working directory. Several of its refusals exit with 0."""
    wait_s, workspace = _check_line(session, line)
    if not line.has("force") and git.has_uncommitted_changes():
        say("Project directory has uncommitted changes, use `astro deploy [deployment-id] -f` to force deploy.")
        return
    say(f"Authenticated to {DOMAIN} \n")
    deployment = _find_target(session, line, workspace)
    if workspace != deployment["workspaceId"]:
        say(f"Invalid workspace id {workspace} was provided through the --workspace-id flag")
        return
    if line.has("image") and not deployment["isDagDeployEnabled"]:
        raise _refuse_dag_deploys(deployment)
    deploy = _create_record(session, line, deployment)
    if line.has("dags"):
        _deploy_dags(session, line, deployment, deploy, wait_s)
    else:
        _deploy_image(session, line, deployment, deploy, wait_s)


def _check_line(session: Session, line: Line) -> tuple[float | None, str]:
    """Check what needs neither Git nor Astro; return how long to wait and the workspace."""
    in_project = (Path.cwd() / ".astro" / "config.yaml").exists() and Path.cwd() != session.config.home
    takes_only_dags = line.has("dags") and line.get("dags-path")
    if not in_project and not line.get("image-name") and not takes_only_dags:
        raise CliError(
            "this is not an Astro project directory.\n"
            "Change to another directory or run astro dev init to turn your working directory into an Astro project\n",
            has_usage=True,
        )
    wait_s = read_wait(line, _WAIT_DEFAULT)
    workspace = session.resolve_workspace(line.get("workspace-id"), "failed to find a valid workspace: ")
    if line.has("dags") and line.has("image"):
        both = "Run 'astro deploy' to update both your image and dags"
        raise CliError(f"cannot use both --dags and --image together. {both}", has_usage=True)
    for flag in ("dags", "dags-path"):
        if (line.has(flag) or line.get(flag)) and line.get("image-name"):
            implied = "--image-name implies an image-only deploy"
            raise CliError(f"cannot use --{flag} with --image-name; {implied}", has_usage=True)
    return wait_s, workspace


def _find_target(session: Session, line: Line, workspace: str) -> dict[str, Any]:
    """Return the Deployment: an id is read at once, in any workspace; all else is looked up in this one."""
    if line.argument:
        return get_deployment(session, line.argument)
    found = find_deployment(session, workspace, "", line.get("deployment-name"))
    if found is None:
        raise CliError("you must give your Deployment a name")
    return get_deployment(session, found["id"])


def _refuse_dag_deploys(deployment: dict[str, Any]) -> CliError:
    hint = f"Run 'astro deployment update {deployment['id']} --dag-deploy enable' to enable DAG-only deploys"
    return CliError(f"DAG-only deploys are not enabled for this Deployment. {hint}")


def _create_record(session: Session, line: Line, deployment: dict[str, Any]) -> dict[str, Any]:
    """Create the deploy record; whatever fails later leaves it INITIALIZED."""
    kind = "DAG_ONLY" if line.has("dags") else "IMAGE_ONLY" if line.has("image") else "IMAGE_AND_DAG"
    body: dict[str, Any] = {"description": line.get("description"), "type": kind}
    wants_git = session.config.is_on("deploy.git_metadata") and not line.get("image-name")
    metadata = git.read_metadata() if wants_git else None
    if metadata is not None:
        body["git"], subject = metadata
        body["description"] = body["description"] or subject
    deploy: dict[str, Any] = session.api.post(f"{session.path}/deployments/{deployment['id']}/deploys", body)
    return deploy


def _confirm_without_dags(session: Session, line: Line) -> None:
    if has_dag_files(_dags(line)) or line.has("force") or not session.config.is_on("show_warnings"):
        return
    if not ask(_NO_DAGS):
        say("Canceling deploy...")
        raise StopError(0)


def _dags(line: Line) -> Path:
    return Path.cwd() / (line.get("dags-path") or "dags")


def _upload(line: Line, deployment: dict[str, Any], deploy: dict[str, Any]) -> str:
    return upload_dags(_dags(line), deploy["dagsUploadUrl"], is_airflow_3=is_airflow_3(deployment))


def _deploy_dags(
    session: Session, line: Line, deployment: dict[str, Any], deploy: dict[str, Any], wait_s: float | None
) -> None:
    _confirm_without_dags(session, line)
    if not deployment["isDagDeployEnabled"]:
        raise _refuse_dag_deploys(deployment)
    say(f"Initiating DAG deploy for: {deployment['id']}")
    version = _upload(line, deployment, deploy)
    _finalize(session, deploy, {"dagTarballVersion": version})
    if wait_s is not None:
        wait_until_healthy(session, deployment["id"], _FIRST_WAIT_DAGS_S, wait_s)
    hint = "Navigate to the Airflow UI to confirm that your deploy was successful."
    about = "" if wait_s is not None else " The Airflow UI takes about 1 minute to update."
    say(f"\nSuccessfully uploaded DAGs with version {version} to Astro. {hint}{about}")
    _say_access(deployment, "")


def _deploy_image(
    session: Session, line: Line, deployment: dict[str, Any], deploy: dict[str, Any], wait_s: float | None
) -> None:
    ignore_file.remove_dags()
    takes_dags = bool(deployment["isDagDeployEnabled"])
    has_dags = has_dag_files(_dags(line))
    if takes_dags and not line.has("image"):
        _confirm_without_dags(session, line)
    remote = f"{deploy['imageRepository']}:{deploy['imageTag']}"
    image_name = line.get("image-name")
    ship_image(session, deployment, remote, image_name, has_dags=has_dags, is_forced=line.has("force"))
    version = ""
    if line.has("image"):
        say("Image Deploy only. Skipping deploying DAG...")
    elif takes_dags and has_dags:
        version = _upload(line, deployment, deploy)
    _finalize(session, deploy, {"dagTarballVersion": version} if takes_dags else {})
    if wait_s is not None:
        wait_until_healthy(session, deployment["id"], _FIRST_WAIT_IMAGE_S, wait_s)
    say(
        "Successfully pushed image to Astronomer registry. Navigate to the Astronomer UI for confirmation "
        "that your deploy was successful. To deploy dags only run astro deploy --dags."
    )
    _say_access(deployment, "https://")


def _finalize(session: Session, deploy: dict[str, Any], body: dict[str, Any]) -> None:
    path = f"{session.path}/deployments/{deploy['deploymentId']}/deploys/{deploy['id']}/finalize"
    done = session.api.post(path, body)
    if done.get("dagTarballVersion") is not None:
        say(f"Deployed DAG bundle:  {done['dagTarballVersion']}")
    if done.get("imageTag"):
        say(f"Deployed Image Tag:  {done['imageTag']}")


def _say_access(deployment: dict[str, Any], scheme: str) -> None:
    say("\n Access your Deployment:\n")
    say(f" Deployment View: {scheme}{name_page(deployment)}\n Airflow UI: {scheme}{deployment['webServerUrl']}\n")
