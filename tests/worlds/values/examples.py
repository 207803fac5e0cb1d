"""A project, Deployments and marks that unit tests share; values say what they are about, nothing else varies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from include.deploy_ops.core.model import Deployment, DeploymentStatus, Mark, PullRequest
from include.deploy_ops.core.naming import format_mark, name_deployment
from include.deploy_ops.core.policy.file import load_policy
from include.deploy_ops.core.policy.keys import Project

PLANE = "acme-prod"
OWNER = f"{PLANE}/shop"
REPO_ID = 7
FINGERPRINT = "0123456789ab"

POLICY = """
control_plane: acme-prod
projects:
  - name: shop
    repository: acme/shop
    image: ["registry.example/acme/shop:{sha}"]
    previews:
      branches: ["dev*"]
      exclude: ["develop"]
      template: deployments/preview.yaml
      merged_into: [staging, main]
      max_live: 20
      delete_after: 14d
    targets:
      production: {deployment: Production, pull_request: {from: astro_deploy, into: main}}
"""


def make_project(**changes: Any) -> Project:
    """Return the example project; keywords replace fields of it, `previews` and `limits` those below them."""
    loaded = load_policy(POLICY, "policy.yaml")
    assert not loaded.problems
    project = loaded.policy.projects[0]
    for part in ("previews", "limits"):
        if part in changes:
            changes[part] = getattr(project, part).model_copy(update=changes[part])
    return project.model_copy(update=changes)


def sha(digit: str) -> str:
    """Return a commit id of one digit."""
    return digit * 40


def make_mark(branch: str, template: str = FINGERPRINT, **changes: str) -> Mark:
    """Return the example project's mark for the branch."""
    return replace(Mark(PLANE, "shop", "acme/shop", branch, template), **changes)


def make_deployment(branch: str, mark: Mark | None = None, **changes: Any) -> Deployment:
    """Return a healthy preview of the branch, marked as ours."""
    deployment = Deployment(
        id=f"id-{branch}",
        name=name_deployment("shop", branch),
        status=DeploymentStatus.HEALTHY,
        description=format_mark(mark or make_mark(branch)),
        workspace_id="ws",
        runtime_version="3.3-2",
        image_repository="registry.example/ns/airflow",
        image_tag="deploy-1",
        dag_tarball_version="v1",
        desired_dag_tarball_version="v1",
        is_dag_deploy_enabled=True,
        is_development_mode=True,
        deployment_type="STANDARD",
        executor="CELERY",
        cloud_provider="AWS",
        region="us-east-1",
        namespace="ns",
        airflow_url="https://airflow.example/ns",
        astro_url="https://astro.example/ns",
    )
    return replace(deployment, **changes)


def make_pull(number: int, branch: str, head: str, **changes: Any) -> PullRequest:
    """Return an open pull request from the branch into main."""
    pull = PullRequest(
        number=number,
        head_ref=branch,
        head_sha=head,
        head_repo_id=REPO_ID,
        base_ref="main",
        base_repo_id=REPO_ID,
        is_open=True,
        is_merged=False,
        updated_at="2026-01-01T00:00:00Z",
    )
    return replace(pull, **changes)


def merged(pull: PullRequest) -> PullRequest:
    """Return the pull request as it is after its merge."""
    return replace(pull, is_open=False, is_merged=True)
