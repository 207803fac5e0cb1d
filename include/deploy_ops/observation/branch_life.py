"""Whether an orphan's branch lives, asked of GitHub when it matters: then it is never offered to delete."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from include.deploy_ops.core.cleanup.orphans import Fate, Orphan, find_namesake
from include.deploy_ops.core.errors import RetryableError

if TYPE_CHECKING:
    from include.deploy_ops.core.policy.file import LoadedPolicy


def decide_fate(loaded: LoadedPolicy, orphan: Orphan) -> Orphan:
    """Return the orphan with what may become of it: of a project that left the policy nothing else is known.

    Where the policy names another repository for the project, the branch is looked for there; while that cannot be
    told, nothing may become of the Deployment.
    """
    from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook  # not where DAG files are parsed

    project = find_namesake(loaded, orphan.mark)
    if project is None:
        return orphan
    github = DeployOpsGithubHook(project.github_conn_id, project.repository)
    try:
        branch = github.find_branch_beside(orphan.mark.branch, project.trunk)
    except RetryableError as error:
        return replace(
            orphan, fate=Fate.STAY, reason=f"{orphan.reason}; whether its branch lives is not known: {error}"
        )
    finally:
        github.close()
    if branch is None:
        return orphan
    return replace(
        orphan, fate=Fate.ADOPT if project.previews else Fate.STAY, reason=f"{orphan.reason}, where its branch lives"
    )
