"""Which Deployment is meant: by id, by name, or because it is the only one. And waiting until it is healthy."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from sandbox.cli.errors import CliError
from sandbox.cli.terminal import say

if TYPE_CHECKING:
    from sandbox.cli.session import Session

_NOT_FOUND = (
    "the Deployment specified was not found in this workspace. "
    "Your account or API Key may not have access to the deployment specified"
)
_TICK_S = 10.0


def list_deployments(session: Session, workspace: str) -> list[dict[str, Any]]:
    """Return the Deployments of a workspace, of all the organization when it is empty."""
    query = {"workspaceIds": workspace} if workspace else {}
    return session.api.list_all(f"{session.path}/deployments", "deployments", 1000, **query)


def get_deployment(session: Session, deployment_id: str) -> dict[str, Any]:
    """Return one Deployment, in whatever workspace it is."""
    found: dict[str, Any] = session.api.get(f"{session.path}/deployments/{deployment_id}")
    return found


def find_deployment(
    session: Session, workspace: str, deployment_id: str, name: str, *, is_quiet: bool = False
) -> dict[str, Any] | None:
    """Return the Deployment that is meant, None when the workspace has none at all or the one found has no id.

    :raises CliError: if it is not there; a failed look ends in `: <cause>`, an absence does not.
    """
    try:
        deployments = list_deployments(session, workspace)
    except CliError as error:
        raise CliError(f"{_NOT_FOUND}: {error}") from error
    if not deployments:
        return None
    if deployment_id and name and not is_quiet:
        text = "Both a Deployment ID and Deployment name have been supplied. The Deployment ID"
        say(f"{text} {deployment_id} will be used")
    if deployment_id:
        chosen = _choose_by_id(deployments, deployment_id)
    elif name:
        chosen = _choose_by_name(deployments, name)
    else:
        chosen = _choose_only(session, deployments, is_quiet=is_quiet)
    found = get_deployment(session, chosen["id"])
    return found if found.get("id") else None


def _choose_by_id(deployments: list[dict[str, Any]], deployment_id: str) -> dict[str, Any]:
    for deployment in deployments:
        if deployment["id"] == deployment_id:
            return deployment
    raise CliError(_NOT_FOUND)


def _choose_by_name(deployments: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Several of one name: a line is printed, and the first is taken."""
    named = [deployment for deployment in deployments if deployment["name"] == name]
    if not named:
        say(f"No Deployment with the name {name} was found")
        raise CliError(_NOT_FOUND)
    if len(named) > 1:
        say(f"More than one Deployment with the name {name} was found")
    return named[0]


def _choose_only(session: Session, deployments: list[dict[str, Any]], *, is_quiet: bool) -> dict[str, Any]:
    """With a token the only Deployment is taken without being named: an empty id is dangerous."""
    if len(deployments) > 1 or not session.has_token:
        raise CliError("invalid Deployment selected")
    only = deployments[0]
    if not is_quiet:
        say("Only one Deployment was found. Using the following Deployment by default: ")
        say(f"\n Deployment Name: {only['name']}\n Deployment ID: {only['id']}\n")
    return only


def wait_until_healthy(session: Session, deployment_id: str, first_s: float, timeout_s: float) -> None:
    """Wait `first_s` without a look, then look every ten seconds, as the real CLI does.

    :raises CliError: when `timeout_s` after the first wait it is neither HEALTHY nor HIBERNATING.
    """
    say("\nWaiting for the deployment to become healthy…\n\nThis may take a few minutes")
    scale = float(os.environ.get("ASTRO_STANDIN_WAIT_SCALE", "1"))
    time.sleep(first_s * scale)
    for _ in range(int(timeout_s // _TICK_S)):
        time.sleep(_TICK_S * scale)
        deployment = get_deployment(session, deployment_id)
        if deployment["status"] in {"HEALTHY", "HIBERNATING"}:
            say(f"Deployment {deployment['name']} is now healthy")
            return
    raise CliError("timed out waiting for the Deployment to enter a Healthy state")
