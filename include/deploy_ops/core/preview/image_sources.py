"""Which Deployment's image could serve a commit, in which order, and what speaks against one; and how it is told.

Pure: what Astro and the registry say is given, and whether two commits need another image is `change_type`'s to decide.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.deploy_ops.core.history import forget_unseen, read_history
from include.deploy_ops.core.preview.ownership import find_previews

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from include.deploy_ops.core.model import Deploy, Deployment
    from include.deploy_ops.core.policy.keys import Project, Target

OF_CI, OF_BUILD, OF_PREVIEW = "ci", "build", "preview"
"""Where an image came from, as deploy notes tell: for a target by the CI or a build, or for a preview."""

TARGET_ORIGINS = frozenset({OF_CI, OF_BUILD})
CANDIDATES_MAX = 5
"""Deployments whose records are read for one image: targets and the newest previews are the likeliest to serve."""

BUILD_BAN = (
    "`previews.build` is not true in the policy, and whoever pushes a branch owns the container engine that builds it. "
    "Name another source in the project's `image` list, or set `previews.build: true`"
)
"""Why a preview's image is not built, and what to do."""

_RUNTIME = re.compile(r"(\d{1,9})\.(\d{1,9})-(\d{1,9})|(\d{1,9})\.(\d{1,9})\.(\d{1,9})")


@dataclass(frozen=True, slots=True)
class Need:
    """What an image has to serve: the Deployment, empty while there is none, with its runtime and way of DAGs."""

    deployment_id: str
    runtime_version: str
    has_dag_deploys: bool
    is_target: bool = False


def find_build_ban(project: Project, target: str, rules: Target | None) -> str:
    """Return why no container engine may build what is deployed there; empty where the policy lets it.

    Asked where an image is looked for, and again right before it is built.

    :param target: the target's name, empty for a preview.
    :param rules: the target's, None for a preview.
    """
    if rules is None:
        return BUILD_BAN if project.previews is None or not project.previews.build else ""
    if rules.approval == "required" and not rules.build:
        return (
            f"{target} is deployed to after approval, and what would be built has no digest yet that anybody could "
            f"approve; let the CI build it, or set `targets.{target}.build: true`"
        )
    return ""


def rank_candidates(
    deployments: Sequence[Deployment], control_plane: str, project: Project, need: Need
) -> list[Deployment]:
    """Return the project's Deployments whose image may serve, the likeliest first.

    Targets in the policy's order, then the one to be deployed to, then the other previews, the last changed first. For
    a target no previews: what is in a preview's image is the word of whoever pushed its branch, also where the policy
    ignores the folder that it came from.
    """
    deployments = [each for each in deployments if each.image_repository and each.image_tag]
    by_name = {each.name: each for each in deployments}
    targets = [by_name[each.deployment] for each in project.targets.values() if each.deployment in by_name]
    previews = [each for pairs in find_previews(deployments, control_plane, project).values() for each, _ in pairs]
    previews.sort(key=lambda each: (each.id == need.deployment_id, each.updated_at, each.id), reverse=True)
    return list({each.id: each for each in (*targets, *([] if need.is_target else previews))}.values())


def find_obstacle(candidate: Deployment, need: Need) -> str:
    """Return what rules the candidate out at first sight, empty if nothing does."""
    if candidate.is_dag_deploy_enabled != need.has_dag_deploys:
        # Where DAG deploys are on, the image holds no DAGs.
        return f"its DAGs {'come beside' if candidate.is_dag_deploy_enabled else 'are in'} the image, not here"
    return describe_runtime(candidate.runtime_version, need)


def describe_runtime(version: str | None, need: Need) -> str:
    """Return why an image of this runtime may not be deployed, empty if it may; Astro takes no older one."""
    if not version:
        return "its image has no runtime label"
    if need.runtime_version and rank_runtime(version) < rank_runtime(need.runtime_version):
        return f"its runtime {version} is older than {need.runtime_version}"
    return ""


@dataclass(frozen=True, slots=True)
class RunningImage:
    """The image that a Deployment runs: which commit it is of, and where it came from, as in `DeployNote`."""

    commit: str
    origin: str


def read_image(candidate: Deployment, deploys: Iterable[Deploy], need: Need, owner: str) -> RunningImage | str:
    """Return the image that the candidate runs, or why nobody can tell, or why it may not serve.

    :param owner: whose deploys tell where an image came from, as in `read_history`.
    """
    records = {record.id: record for record in deploys}
    history = read_history(records.values(), owner)
    if history.image_commit is None:
        return "no deploy record says which commit its image is of"
    if (shown := records[history.newest_id].image_tag) != candidate.image_tag:
        return f"Astro shows the image {candidate.image_tag}, its newest deploy record {shown}"
    if forget_unseen(history, candidate).image_commit is None:
        return f"the record of the deploy that brought its image {candidate.image_tag} is gone"
    if need.is_target and history.image_origin not in TARGET_ORIGINS:
        came = f"came from a {history.image_origin}" if history.image_origin else "came from where no record tells"
        return f"its image {came}; a target takes what was built for targets only"
    return RunningImage(history.image_commit, history.image_origin)


def rank_runtime(version: str) -> tuple[int, ...]:
    """Order runtime versions: 3.1-14, of Airflow 3, comes after 13.1.0, and one that does not parse before all.

    The CLI takes a label that it cannot read for a downgrade.
    """
    match = _RUNTIME.fullmatch(version)
    if match is None:
        return ()
    numbers = [int(number) for number in match.groups() if number is not None]
    return (int(match[1] is not None), *numbers)
