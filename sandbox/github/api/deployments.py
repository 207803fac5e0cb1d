"""GitHub deployments and their statuses. Deploys nothing: GitHub only keeps the record."""

from __future__ import annotations

from sandbox.github.api.statuses import list_latest
from sandbox.github.diffs import is_ancestor
from sandbox.github.records import Deployment, DeploymentStatus
from sandbox.github.refs import resolve_commit
from sandbox.github.rest import Answer, ApiError, Call, Handler, build_invalid, build_not_found, paginate
from sandbox.github.shapes.records import build_deployment, build_deployment_status

STATES = ("error", "failure", "inactive", "in_progress", "queued", "pending", "success")


def list_deployments(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/deployments, newest first; `sha`, `ref`, `task`, `environment` filter."""
    repository = call.repository
    wanted = {name: call.query[name] for name in ("sha", "ref", "task", "environment") if call.query.get(name)}
    found = [
        deployment
        for deployment in reversed(repository.deployments.values())
        if all(getattr(deployment, name) == value for name, value in wanted.items())
    ]
    return paginate(call, found, lambda deployment: build_deployment(repository.urls, deployment))


def create_deployment(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/deployments.

    409 while the commit's statuses are not all successful, unless `required_contexts` says which count. `auto_merge`
    (GitHub's default) needs nothing done where `ref` holds the default branch already, and is 409 where it does not:
    the sandbox merges nothing by itself.
    """
    repository, ref = call.repository, call.read_text("Deployment", "ref")
    sha = resolve_commit(repository.git, ref)
    if sha is None:
        raise ApiError(422, f"No ref found for: {ref}")
    if call.fields.get("auto_merge", True):
        _require_merged(call, ref, sha)
    _require_contexts(call, ref, sha)
    environment = call.read_text("Deployment", "environment", "production")
    deployment = Deployment(
        id=repository.allot_id(),
        sha=sha,
        ref=ref,
        task=call.read_text("Deployment", "task", "deploy"),
        environment=environment,
        description=call.fields.get("description"),
        payload=call.fields.get("payload", {}),
        is_transient=bool(call.fields.get("transient_environment")),
        is_production=bool(call.fields.get("production_environment", environment == "production")),
        user=call.user,
    )
    repository.deployments[deployment.id] = deployment
    repository.find_environment(environment)
    return Answer(build_deployment(repository.urls, deployment), 201)


def _require_merged(call: Call, ref: str, sha: str) -> None:
    trunk = call.repository.default_branch
    if ref in call.repository.heads and not is_ancestor(call.repository.git, call.repository.heads[trunk], sha):
        raise ApiError(409, f"Conflict merging {trunk} into {ref}")


def _require_contexts(call: Call, ref: str, sha: str) -> None:
    latest = {status.context: status.state for status in list_latest(call.repository, sha)}
    required = call.fields.get("required_contexts")
    for context in latest if required is None else required:
        if latest.get(context) != "success":
            raise ApiError(409, f"Conflict: Commit status checks failed for {ref}.")


def require_deployment(call: Call) -> Deployment:
    """Find the deployment that the path names."""
    deployment = call.repository.deployments.get(call.read_number("id"))
    if deployment is None:
        raise build_not_found()
    return deployment


def show_deployment(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/deployments/{id}."""
    return Answer(build_deployment(call.repository.urls, require_deployment(call)))


def list_deployment_statuses(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/deployments/{id}/statuses, newest first."""
    urls, deployment = call.repository.urls, require_deployment(call)
    statuses = deployment.statuses[::-1]
    return paginate(call, statuses, lambda status: build_deployment_status(urls, deployment, status))


def create_deployment_status(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/deployments/{id}/statuses."""
    repository, deployment, state = call.repository, require_deployment(call), call.read_text("Status", "state")
    if state not in STATES:
        raise build_invalid("DeploymentStatus", "state", f"state must be one of {', '.join(STATES)}")
    log_url = call.read_text("Status", "log_url", str(call.fields.get("target_url") or ""))
    status = DeploymentStatus(
        id=repository.allot_id(),
        state=state,
        user=call.user,
        environment=call.read_text("Status", "environment", deployment.environment),
        description=call.read_text("Status", "description", ""),
        environment_url=call.read_text("Status", "environment_url", ""),
        log_url=log_url,
    )
    deployment.add_status(status)
    if state == "success" and call.fields.get("auto_inactive", True):
        _retire_earlier(call, deployment)
    return Answer(build_deployment_status(repository.urls, deployment, status), 201)


def _retire_earlier(call: Call, current: Deployment) -> None:
    """Mark earlier successes of the environment inactive, transient and production ones excepted, as GitHub does."""
    repository = call.repository
    for deployment in repository.deployments.values():
        is_kept = deployment.is_transient or deployment.is_production
        if deployment is current or is_kept or deployment.environment != current.environment:
            continue
        if deployment.statuses and deployment.statuses[-1].state == "success":
            deployment.add_status(
                DeploymentStatus(repository.allot_id(), "inactive", call.user, deployment.environment)
            )


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/deployments", list_deployments),
    ("POST", "/deployments", create_deployment),
    ("GET", "/deployments/{id}", show_deployment),
    ("GET", "/deployments/{id}/statuses", list_deployment_statuses),
    ("POST", "/deployments/{id}/statuses", create_deployment_status),
]
