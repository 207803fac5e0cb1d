"""The commits of which somebody may wait for the word on a preview: of open pull requests and merge groups. Pure.

A status check that GitHub's branch protection requires has to come for each of them, also where there is no preview.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.deploy_ops.core.naming import slug_branch
from include.deploy_ops.core.plan.work import Hold, HoldKind, Verb
from include.deploy_ops.core.policy.keys import MERGE_QUEUE_PREFIX, Project

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from include.deploy_ops.core.preview.desired import RepositorySnapshot


@dataclass(frozen=True, slots=True)
class Awaited:
    """One such commit.

    `slug` is that of the preview that the branch may have, empty where none can exist, or nothing asks for one; `why`
    says why there is none, and is only meant while no row says it.
    """

    head: str
    why: str
    slug: str = ""


def list_awaited(
    project: Project, snapshot: RepositorySnapshot, ended: Mapping[str, str], holds: Iterable[Hold]
) -> dict[str, Awaited]:
    """Return the commits by a name of what they are the head of; none without previews in the policy.

    :param ended: why branches have no preview any more, by name.
    :param holds: of the pass' plan.
    """
    creates = [hold for hold in holds if hold.what == Verb.CREATE.value]
    held = {hold.environment: hold.reason for hold in creates}
    needless = {hold.environment for hold in creates if hold.kind is HoldKind.NEEDLESS}
    heads = {branch.name: branch.head for branch in snapshot.branches}
    found: dict[str, Awaited] = {}
    for pull in (*snapshot.pull_requests, *snapshot.bystanders):
        if not pull.is_open or pull.base_ref not in project.awaited_bases:
            continue
        if pull.is_from_fork:
            awaited = Awaited(pull.head_sha, "no preview for the branch of a fork")
        elif not project.wants_preview(pull.head_ref):
            awaited = Awaited(pull.head_sha, "no preview for this branch")
        elif pull.head_ref in needless:
            awaited = Awaited(heads.get(pull.head_ref, pull.head_sha), held[pull.head_ref])
        else:
            why = held.get(pull.head_ref) or ended.get(pull.head_ref) or "there is no preview"
            # As the rows have it: between the two listings the branch may have moved.
            awaited = Awaited(heads.get(pull.head_ref, pull.head_sha), why, slug_branch(pull.head_ref))
        found[f"pull/{pull.number}"] = awaited
    queues = tuple(f"{MERGE_QUEUE_PREFIX}{base}/" for base in sorted(project.awaited_bases))
    groups = (branch for branch in snapshot.branches if branch.name.startswith(queues))
    return found | {f"group/{each.name}": Awaited(each.head, "no preview for a merge group") for each in groups}
