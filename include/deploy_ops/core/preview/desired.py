"""Repository snapshot + policy → the previews that should exist, and why the others should not.

Decides about branches only; what Astro has is the planner's affair.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.deploy_ops.core.errors import ObservationError
from include.deploy_ops.core.model import Branch, PullRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.deploy_ops.core.policy.keys import Project

MERGED = "pull request #"
"""How the reason of a preview's end begins where a merge is that."""


@dataclass(frozen=True, slots=True)
class RepositorySnapshot:
    """What was read of a repository in one pass: every branch, and the pull requests that speak of them.

    `bystanders` are other open ones, of forks among them, and `merged` the newest merged ones into what targets get, by
    which nothing is decided but what people are told.
    """

    branches: tuple[Branch, ...]
    pull_requests: tuple[PullRequest, ...]
    bystanders: tuple[PullRequest, ...] = ()
    merged: tuple[PullRequest, ...] = ()

    def find_head(self, name: str) -> str:
        """Return the head of a branch that is there, as trunk is: a listing that lacks it is refused."""
        return next(branch.head for branch in self.branches if branch.name == name)


@dataclass(frozen=True, slots=True)
class DesiredPreviews:
    """Which previews should exist, by branch name, and which branches ended, with the reason.

    A branch that exists and is in neither does not match the policy: its preview, if there is one, stays as it is.
    `unlabelled` are those of the wanted that keep the preview which they have, and get no new one: nobody asked for it.
    """

    wanted: Mapping[str, Branch]
    ended: Mapping[str, str]
    existing: frozenset[str]
    unlabelled: frozenset[str] = frozenset()


def derive_previews(project: Project, snapshot: RepositorySnapshot) -> DesiredPreviews:
    """Work out what the project's previews should be.

    Raises ObservationError when trunk is not among the branches: then the listing is not to be trusted.
    """
    names = frozenset(branch.name for branch in snapshot.branches)
    if project.trunk not in names:
        raise ObservationError(
            f"{project.repository}: the listing of branches lacks trunk '{project.trunk}'; nothing follows from it. "
            "Check the policy's `trunk`, or wait for GitHub."
        )
    pulls: dict[str, list[PullRequest]] = defaultdict(list)
    for pull in snapshot.pull_requests:
        pulls[pull.head_ref].append(pull)
    ended: dict[str, str] = {}
    wanted: dict[str, Branch] = {}
    for branch in snapshot.branches:
        if not project.wants_preview(branch.name):
            continue
        merge = find_merge(project, branch, pulls.get(branch.name, ()))
        if merge is None:
            wanted[branch.name] = branch
        else:
            ended[branch.name] = describe_merge(merge)
    unlabelled = frozenset(name for name in wanted if not _is_asked_for(project, pulls.get(name, ())))
    return DesiredPreviews(wanted, ended, names, unlabelled)


def _is_asked_for(project: Project, pull_requests: Iterable[PullRequest]) -> bool:
    """Whether an open one of these has the label without which no preview is made, where the policy names one."""
    label = project.previews.require_label if project.previews else None
    own = (pull for pull in pull_requests if pull.is_open and not pull.is_from_fork)
    return label is None or any(label in pull.labels for pull in own)


def find_merge(project: Project, branch: Branch, pull_requests: Iterable[PullRequest]) -> PullRequest | None:
    """Return the merged pull request that ended the branch's preview, or None while it lives.

    It ends when a pull request from exactly this head was merged into one of `merged_into`, and none from the branch
    into them is open. Ancestry never counts: a new branch equals trunk, and a squash merge leaves the branch's commits.
    """
    if project.previews is None:
        return None
    into = project.previews.merged_into
    own = [
        pull
        for pull in pull_requests
        if pull.head_ref == branch.name and not pull.is_from_fork and pull.base_ref in into
    ]
    if any(pull.is_open for pull in own):
        return None
    merged = [pull for pull in own if pull.is_merged and pull.head_sha == branch.head]
    return max(merged, key=lambda pull: pull.number, default=None)


def describe_merge(pull: PullRequest) -> str:
    """Return the reason that a plan and a log line give for the end of a merged branch's preview."""
    return f"{MERGED}{pull.number} was merged into {pull.base_ref}"
