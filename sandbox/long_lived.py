"""The Deployments that the team of a seeded repository made by hand when it began: `Staging` and `Production`.

They are healthy, run the seed's last commit since it was made, and carry nobody's mark.
"""

from __future__ import annotations

import functools
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sandbox.astro.fields import read_create, read_variables
from sandbox.astro.records import Code, Deploy, Deployment
from sandbox.identity import RUNTIME_VERSION, WORKSPACE_ID

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.astro import Astro
    from sandbox.ci import CI

NAMES = ("Staging", "Production")
_BRANCH = "main"
_MADE_AT = datetime(2026, 1, 5, 10, 12, 31, tzinfo=UTC)  # after the seed's first commit
_DEPLOYED_AT = datetime(2026, 2, 16, 15, 41, 7, tzinfo=UTC)  # after its last
_IMAGE_TAG = "deploy-2026-02-16T15-41-07-000000"
_DAG_VERSION = "2026-02-16T15:41:09.0000000Z"
_LONG_AGO_S = float("-inf")
# As `deployments/preview.yaml` of the seed, but for what a preview is.
_SPEC = {
    "workspaceId": WORKSPACE_ID,
    "type": "STANDARD",
    "executor": "CELERY",
    "schedulerSize": "SMALL",
    "isCicdEnforced": False,
    "isDagDeployEnabled": True,
    "isHighAvailability": False,
    "isDevelopmentMode": False,
    "cloudProvider": "AWS",
    "region": "us-east-1",
    "astroRuntimeVersion": RUNTIME_VERSION,
    "contactEmails": ["data-platform@acme.example"],
    "workerQueues": [
        {
            "name": "default",
            "astroMachine": "A5",
            "isDefault": True,
            "minWorkerCount": 0,
            "maxWorkerCount": 5,
            "workerConcurrency": 5,
        }
    ],
}


def seed_long_lived(astro: Astro, ci: CI, repository: str, git_dir: Path, suffix: str = "") -> None:
    """Put them into Astro, and their images into its registry.

    :param repository: the seeded repository, `owner/name`, with its bare Git directory.
    :param suffix: what tells their names from those of another team's.
    """
    sha = _ask_git(git_dir, "rev-parse", "--verify", f"refs/heads/{_BRANCH}").decode().strip()
    dags = _archive_dags(git_dir, sha)
    deployments = [_make_deployment(f"{name}{suffix}") for name in NAMES]
    ci.put_image(repository, sha, *((deployment.repository, _IMAGE_TAG) for deployment in deployments))
    for deployment in deployments:
        astro.adopt(deployment, _make_deploy(deployment, repository, sha), _DAG_VERSION, dags)


def _make_deployment(name: str) -> Deployment:
    variables: dict[str, Any] = {"environmentVariables": [{"key": "STAGE", "value": name.lower(), "isSecret": False}]}
    return Deployment(
        read_create({**_SPEC, "name": name, "description": f"{name} of the data platform"}),
        read_variables(variables, []),
        code=Code(_IMAGE_TAG, RUNTIME_VERSION, _DAG_VERSION),
        created_at=_MADE_AT,
        updated_at=_DEPLOYED_AT,
        _created_s=_LONG_AGO_S,
    )


def _make_deploy(deployment: Deployment, repository: str, sha: str) -> Deploy:
    owner, _, name = repository.partition("/")
    git = {"provider": "GITHUB", "account": owner, "repo": name, "branch": _BRANCH, "commitSha": sha}
    url = f"https://github.com/{repository}/commit/{sha}"
    return Deploy(
        deployment_id=deployment.id,
        kind="IMAGE_AND_DAG",
        description="Initial deploy",
        git={**git, "commitUrl": url, "authorName": "Jonas Weber"},
        image_tag=_IMAGE_TAG,
        is_dag_deploy_enabled=True,
        status="DEPLOYED",
        dag_version=_DAG_VERSION,
        code=deployment.code,
        created_at=_DEPLOYED_AT,
        updated_at=_DEPLOYED_AT,
    )


@functools.cache  # the seed's last commit is the same every time
def _archive_dags(git_dir: Path, sha: str) -> bytes:
    """Return the commit's DAGs as a bundle."""
    return _ask_git(git_dir, "archive", "--format=tar.gz", sha, "--", "dags")


def _ask_git(git_dir: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", f"--git-dir={git_dir}", *arguments], check=True, capture_output=True).stdout
