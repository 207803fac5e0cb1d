"""Whose Deployment is it? By the mark alone; what bears another mark or none is never touched.

A repository is the same in any case of its letters, as it is to GitHub. What names another repository is nobody's until
a person adopts it: a name that was given up may be another's by now.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from include.deploy_ops.core.naming import has_later_mark, parse_mark

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.deploy_ops.core.model import Deployment, Mark
    from include.deploy_ops.core.policy.keys import Project


def is_own(mark: Mark | None, control_plane: str, project: Project) -> bool:
    """Whether the mark is this control plane's for this project. Anything else is never touched."""
    return mark is not None and _is_of_project(mark, control_plane, project) and has_repository(mark, project)


def _is_of_project(mark: Mark, control_plane: str, project: Project) -> bool:
    return (mark.control_plane, mark.project) == (control_plane, project.name)


def has_repository(mark: Mark, project: Project) -> bool:
    """Whether the mark names the project's repository, in any case of its letters."""
    return mark.repository.casefold() == project.repository.casefold()


def find_previews(
    deployments: Iterable[Deployment], control_plane: str, project: Project
) -> dict[str, list[tuple[Deployment, Mark]]]:
    """Return our previews of the project by branch; more than one for a branch is a fault that the planner holds."""
    found: dict[str, list[tuple[Deployment, Mark]]] = defaultdict(list)
    for deployment in sorted(deployments, key=lambda each: each.id):
        mark = parse_mark(deployment.description)
        if mark is not None and is_own(mark, control_plane, project):
            found[mark.branch].append((deployment, mark))
    return dict(found)


def find_former(deployments: Iterable[Deployment], control_plane: str, project: Project) -> dict[str, str]:
    """Return, by branch, what is to be said of a preview with the project's mark for another repository."""
    found: dict[str, str] = {}
    for deployment in sorted(deployments, key=lambda each: each.id):
        mark = parse_mark(deployment.description)
        if mark is not None and _is_of_project(mark, control_plane, project) and not has_repository(mark, project):
            found.setdefault(mark.branch, f"'{deployment.name}' ({deployment.id}): {describe_former(mark, project)}")
    return found


def describe_former(mark: Mark, project: Project) -> str:
    """Return what is wrong with a mark that names the project and another repository."""
    return (
        f"it bears our mark for {mark.repository}; the policy names {project.repository}. If the repository was "
        "renamed, adopt the project's previews by the form of orphans, action 'adopt'"
    )


def describe_taken(deployment: Deployment, control_plane: str, project: Project) -> str:
    """Return why a new preview cannot have its name: somebody's Deployment bears it, or another branch's preview."""
    if deployment.doubt:
        return deployment.doubt
    mark = parse_mark(deployment.description)
    bears = f"'{deployment.name}' ({deployment.id})"
    if mark is not None and is_own(mark, control_plane, project):
        return f"{bears} is the preview of '{mark.branch}'; rename it in Astro"
    if has_later_mark(deployment.description):
        return f"{bears} bears a later release's mark, and is never touched; rename it in Astro"
    return f"a Deployment named {bears} exists without our mark; rename or delete it in Astro, or adopt it by the form"


def is_adoptable(deployment: Deployment) -> bool:
    """Whether a person may let a preview take over the Deployment that has its name: nobody's mark is on it."""
    is_marked = parse_mark(deployment.description) is not None or has_later_mark(deployment.description)
    return not (deployment.doubt or is_marked)


def find_nameless(deployments: Iterable[Deployment]) -> Deployment | None:
    """Return a Deployment of which nobody knows whose it is: neither its name nor a mark can be read."""
    found = (each for each in deployments if each.problem and not each.name and parse_mark(each.description) is None)
    return min(found, key=lambda each: each.id, default=None)
