"""Deployments that carry our control plane's mark for a project that has left the policy, or has no previews any more.

Decides for one Deployment at a time, from a policy that must be whole and valid. Deletes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from include.deploy_ops.core.errors import PolicyError
from include.deploy_ops.core.model import Deployment, Mark
from include.deploy_ops.core.naming import parse_mark

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.deploy_ops.core.policy.file import LoadedPolicy


@dataclass(frozen=True, slots=True)
class Orphan:
    """One Deployment whose project has left the policy; `conn_id` is the Airflow connection that reaches it."""

    conn_id: str
    deployment_id: str
    name: str
    status: str
    created_at: datetime | None
    mark: Mark
    reason: str


def require_whole(loaded: LoadedPolicy) -> None:
    """Raise PolicyError unless the whole file is valid: a project that cannot be read has not left the policy."""
    if not loaded.is_complete:
        raise PolicyError(
            "nothing is looked for while anything in the policy is wrong: a project that cannot be read has not left "
            f"it. Mend it first.\n{loaded.describe_problems()}"
        )


def list_connections(loaded: LoadedPolicy) -> tuple[str, ...]:
    """Return the Airflow connections of the policy's workspaces, each once."""
    return tuple(sorted({project.astro_conn_id for project in loaded.policy.projects}))


def find_orphans(loaded: LoadedPolicy, conn_id: str, deployments: Iterable[Deployment]) -> list[Orphan]:
    """Return the orphans of one workspace, by name. Raises PolicyError unless the whole policy is valid."""
    require_whole(loaded)
    found = (judge_deployment(loaded, conn_id, each) for each in deployments)
    return sorted((each for each in found if each), key=lambda orphan: (orphan.name, orphan.deployment_id))


def judge_deployment(loaded: LoadedPolicy, conn_id: str, deployment: Deployment) -> Orphan | None:
    """Return the Deployment as an orphan, or None: it has no mark, another's, a project in the policy, or is a target.

    Raises PolicyError unless the whole policy is valid.
    """
    require_whole(loaded)
    mark = parse_mark(deployment.description)
    if mark is None or mark.control_plane != loaded.policy.control_plane or deployment.name in loaded.target_names:
        return None
    reason = _find_reason(loaded, mark)
    if not reason:
        return None
    return Orphan(conn_id, deployment.id, deployment.name, deployment.status.value, deployment.created_at, mark, reason)


def _find_reason(loaded: LoadedPolicy, mark: Mark) -> str:
    """Return why nobody in the policy looks after the mark's project any more, empty if somebody does.

    A repository that differs in case alone is the same one to GitHub.
    """
    named = [project for project in loaded.policy.projects if project.name == mark.project]
    if not named:
        return f"the policy has no project '{mark.project}'"
    if same := [project for project in named if project.repository.lower() == mark.repository.lower()]:
        return "" if any(project.previews for project in same) else f"project '{mark.project}' has no previews any more"
    return f"project '{mark.project}' is of {named[0].repository} now, not of {mark.repository}"
