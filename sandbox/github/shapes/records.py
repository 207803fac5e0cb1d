"""Commit statuses, deployments and deployment statuses in GitHub's JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.github.shapes.accounts import build_node_id, build_user, format_time

if TYPE_CHECKING:
    from sandbox.github.records import Deployment, DeploymentStatus, Environment, Status
    from sandbox.github.urls import Urls


def build_simple_status(urls: Urls, status: Status) -> dict[str, Any]:
    """Build GitHub's `simple-commit-status`, as the combined status lists them: without who said it."""
    created_at = format_time(status.created_at)
    return {
        "url": urls.build_api("statuses", status.sha),
        "avatar_url": f"{urls.build_user_html(status.user)}.png",
        "id": status.id,
        "node_id": build_node_id("StatusContext", status.id),
        "state": status.state,
        "description": status.description,
        "target_url": status.target_url,
        "context": status.context,
        "created_at": created_at,
        "updated_at": created_at,
    }


def build_status(urls: Urls, status: Status) -> dict[str, Any]:
    """Build GitHub's `status`."""
    return {**build_simple_status(urls, status), "creator": build_user(urls, status.user)}


def build_deployment(urls: Urls, deployment: Deployment) -> dict[str, Any]:
    """Build GitHub's `deployment`."""
    api = urls.build_api("deployments", deployment.id)
    return {
        "url": api,
        "id": deployment.id,
        "node_id": build_node_id("Deployment", deployment.id),
        "sha": deployment.sha,
        "ref": deployment.ref,
        "task": deployment.task,
        "payload": deployment.payload,
        "original_environment": deployment.environment,
        "environment": deployment.environment,
        "description": deployment.description,
        "creator": build_user(urls, deployment.user),
        "created_at": format_time(deployment.created_at),
        "updated_at": format_time(deployment.updated_at),
        "statuses_url": f"{api}/statuses",
        "repository_url": urls.build_api(),
        "transient_environment": deployment.is_transient,
        "production_environment": deployment.is_production,
        "performed_via_github_app": None,
    }


def build_environment(urls: Urls, environment: Environment) -> dict[str, Any]:
    """Build GitHub's `environment`."""
    created_at = format_time(environment.created_at)
    return {
        "id": environment.id,
        "node_id": build_node_id("Environment", environment.id),
        "name": environment.name,
        "url": urls.build_api("environments", environment.name),
        "html_url": urls.build_html("deployments", "activity_log"),
        "created_at": created_at,
        "updated_at": created_at,
        "protection_rules": [],
        "deployment_branch_policy": None,
    }


def build_deployment_status(urls: Urls, deployment: Deployment, status: DeploymentStatus) -> dict[str, Any]:
    """Build GitHub's `deployment-status`."""
    api, created_at = urls.build_api("deployments", deployment.id), format_time(status.created_at)
    return {
        "url": f"{api}/statuses/{status.id}",
        "id": status.id,
        "node_id": build_node_id("DeploymentStatus", status.id),
        "state": status.state,
        "creator": build_user(urls, status.user),
        "description": status.description,
        "environment": status.environment,
        "target_url": status.log_url,
        "created_at": created_at,
        "updated_at": created_at,
        "deployment_url": api,
        "repository_url": urls.build_api(),
        "environment_url": status.environment_url,
        "log_url": status.log_url,
        "performed_via_github_app": None,
    }
