"""Deployments that carry our control plane's mark for a project that has left the policy, or has no previews any more.

Decides for one Deployment at a time, from a policy that must be whole and valid. Deletes nothing. Whether a branch
lives is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING

from include.deploy_ops.core.errors import PolicyError
from include.deploy_ops.core.model import Deployment, Mark
from include.deploy_ops.core.naming import parse_mark
from include.deploy_ops.core.preview.ownership import has_repository

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.deploy_ops.core.policy.file import LoadedPolicy
    from include.deploy_ops.core.policy.keys import Project


class Fate(Enum):
    """What may become of an orphan: a person is asked about the first two, each in a list of its own."""

    DELETE = "delete"
    ADOPT = "adopt"
    STAY = "stay"


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
    fate: Fate = Fate.DELETE


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

    So is one of which Astro's answer cannot be read. Raises PolicyError unless the whole policy is valid.
    """
    require_whole(loaded)
    mark = None if deployment.problem else parse_mark(deployment.description)
    if mark is None or mark.control_plane != loaded.policy.control_plane or deployment.name in loaded.target_names:
        return None
    reason = _find_reason(loaded, mark)
    if not reason:
        return None
    return Orphan(conn_id, deployment.id, deployment.name, deployment.status.value, deployment.created_at, mark, reason)


def find_namesake(loaded: LoadedPolicy, mark: Mark) -> Project | None:
    """Return the policy's project of the mark's name, whose repository is called otherwise now, or another one."""
    named = (project for project in loaded.policy.projects if project.name == mark.project)
    return next((each for each in named if not has_repository(mark, each)), None)


def _find_reason(loaded: LoadedPolicy, mark: Mark) -> str:
    """Return why nobody in the policy looks after the mark's project any more, empty if somebody does."""
    named = [project for project in loaded.policy.projects if project.name == mark.project]
    if not named:
        return f"the policy has no project '{mark.project}'"
    if namesake := find_namesake(loaded, mark):
        return f"it bears our mark for {mark.repository}; the policy names {namesake.repository}"
    return "" if named[0].previews else f"project '{mark.project}' has no previews any more"
