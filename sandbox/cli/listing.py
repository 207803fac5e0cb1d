"""`workspace list` and `deployment list`, as tables and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sandbox.cli.lookup import list_deployments
from sandbox.cli.terminal import say, say_table

if TYPE_CHECKING:
    from sandbox.cli.flags import Line
    from sandbox.cli.session import Session

_COLUMNS = (
    "NAME",
    "NAMESPACE",
    "CLUSTER",
    "CLOUD PROVIDER",
    "REGION",
    "DEPLOYMENT ID",
    "RUNTIME VERSION",
    "DAG DEPLOY ENABLED",
    "CI-CD ENFORCEMENT",
    "DEPLOYMENT TYPE",
    "REMOTE EXECUTION",
)


def run_workspace_list(session: Session, line: Line) -> None:
    """List the workspaces, the current one in green even off a terminal."""
    path = f"{session.path}/workspaces"
    workspaces = session.api.list_all(path, "workspaces", 1000, sorts="name:asc")
    if _wants_json(line):
        items = [(item["name"], item["id"], item["id"] == session.workspace) for item in workspaces]
        keys = ("name", "id", "isCurrent")
        _say_json({"workspaces": [dict(zip(keys, item, strict=True)) for item in items]})
        return
    rows = [(str(item["name"]), str(item["id"])) for item in workspaces]
    current = next((number for number, row in enumerate(rows) if row[1] == session.workspace), None)
    say_table(("NAME", "ID"), rows, current)


def run_deployment_list(session: Session, line: Line) -> None:
    """List the workspace's Deployments, by name from last to first; `--all` lists the organization's."""
    workspace = session.resolve_workspace(line.get("workspace-id"), "failed to find a valid workspace: ")
    found = list_deployments(session, "" if line.has("all") else workspace)
    found.sort(key=lambda item: str(item["name"]), reverse=True)
    if _wants_json(line):
        _say_json({"deployments": [_summarize(item, has_workspace=line.has("all")) for item in found]})
    elif not found:
        say(f"no Deployments found in workspace {workspace}")
    else:
        say_table(_COLUMNS, [_make_row(item) for item in found])


def _wants_json(line: Line) -> bool:
    return line.has("json") or line.get("output") == "json"


def _say_json(document: dict[str, Any]) -> None:
    say(json.dumps(document, indent=2, ensure_ascii=False))


def _summarize(deployment: dict[str, Any], *, has_workspace: bool) -> dict[str, Any]:
    summary = {
        "name": deployment["name"],
        "workspaceName": deployment.get("workspaceName") if has_workspace else None,
        "namespace": deployment["namespace"],
        "clusterName": deployment.get("clusterName"),
        "cloudProvider": deployment.get("cloudProvider"),
        "region": deployment.get("region"),
        "deploymentId": deployment["id"],
        "runtimeVersion": deployment["runtimeVersion"],
        "airflowVersion": deployment["airflowVersion"],
        "isDagDeployEnabled": deployment["isDagDeployEnabled"],
        "isCicdEnforced": deployment["isCicdEnforced"],
        "type": deployment["type"],
        "isRemoteExecutionEnabled": (deployment.get("remoteExecution") or {}).get("enabled", False),
    }
    return {key: value for key, value in summary.items() if value is not None}


def _make_row(deployment: dict[str, Any]) -> list[str]:
    summary = _summarize(deployment, has_workspace=False)
    cells = [
        summary["name"],
        summary["namespace"],
        summary.get("clusterName", "N/A"),
        summary.get("cloudProvider", "N/A"),
        summary.get("region", "N/A"),
        summary["deploymentId"],
        f"{summary['runtimeVersion']} (based on Airflow {summary['airflowVersion']})",
        summary["isDagDeployEnabled"],
        summary["isCicdEnforced"],
        summary["type"],
        summary["isRemoteExecutionEnabled"],
    ]
    return [str(cell).lower() if isinstance(cell, bool) else str(cell) for cell in cells]
