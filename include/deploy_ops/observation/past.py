"""The branches whose previews are over and of which nobody speaks: left out of a pass, until they move.

A repository collects thousands of them: merged and not deleted, removed since nobody used them, old before the first
pass, or of no concern to the project. A pass must cost what lives. So the branches that it would leave alone are noted
with their heads, in shards, and beside them a digest of each shard: where that is the digest of the candidates which
are there now, all of these are over, and nothing is read of them.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.model import NO_COMMIT
from include.deploy_ops.core.naming import hash_text, slug_branch
from include.deploy_ops.core.preview.ownership import find_previews
from include.deploy_ops.run.memory import PastDigests

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from include.deploy_ops.core.preview.desired import DesiredPreviews, RepositorySnapshot
    from include.deploy_ops.core.preview.observed import Observed
    from include.deploy_ops.run.memory import Memory
    from include.deploy_ops.run.scope import Scope

FORGOTTEN_MAX = 10
"""Environments that one pass forgets: each costs some calls of Airflow, and all branches may go at once."""

_DIGEST_LENGTH = 16

Heads = Mapping[str, str]
"""Branches' heads by slug."""


@dataclass(frozen=True, slots=True)
class PastPreviews:
    """What one pass knows of them.

    `candidates` are the branches, by slug, that match the policy and have neither Deployment nor open pull request,
    with their heads, and in `names` with their names; `matched` are the slugs of all that match, `existing` those of
    all branches. `noted` are the heads that were noted, `over` the slugs of the candidates that are over, `merged` of
    those that are for a merge that this pass read of. `digests` are those that were read.
    """

    candidates: Heads
    names: Mapping[str, str]
    matched: frozenset[str]
    existing: frozenset[str]
    noted: Heads
    over: frozenset[str]
    merged: frozenset[str]
    rules: str
    digests: PastDigests | None

    def has(self, branch: str) -> bool:
        """Whether the branch is over."""
        return slug_branch(branch) in self.over

    def leave_out(self, desired: DesiredPreviews) -> DesiredPreviews:
        """Return the previews that should be, without what a pass need not look at."""
        if not self.over:
            return desired
        return replace(
            desired,
            wanted={name: branch for name, branch in desired.wanted.items() if not self.has(name)},
            ended={name: reason for name, reason in desired.ended.items() if not self.has(name)},
        )

    def note(
        self,
        memory: Memory,
        ended: Iterable[str],
        shown: Collection[str],
        dropped: Collection[str],
        forget: Callable[[str], bool],
    ) -> tuple[str, ...]:
        """Note what is over after this pass, and forget environments that are gone; return the branches that are over.

        :param ended: the branches of which the pass found that they get no preview at this head.
        :param shown: the slugs of what people are shown now, `dropped` of what they are shown no more.
        :param forget: forgets all of an environment, or returns False where something of it lives.
        """
        over = self.over | self.merged | ({slug_branch(each) for each in ended} & self.candidates.keys())
        after = {slug: self.candidates[slug] for slug in over}
        # Noted without being over, so that what is remembered of them is forgotten when their branches go. What is
        # shown is dropped one day.
        left = {*self.noted, *dropped} - self.candidates.keys() - set(shown)
        gone = sorted(left - self.existing)
        left -= {slug for slug in gone[:FORGOTTEN_MAX] if forget(slug)}
        after |= {slug: NO_COMMIT if slug in self.matched else self.noted.get(slug, NO_COMMIT) for slug in left}
        memory.past.write(self.noted, after)
        digests = PastDigests(self.rules, _digest(after, memory.past.place))
        if digests != self.digests:
            memory.past_digests.write(digests)
        return tuple(sorted(self.names[slug] for slug in self.over))


def find_past(
    scope: Scope, memory: Memory, desired: DesiredPreviews, snapshot: RepositorySnapshot, observed: Observed
) -> PastPreviews:
    """Return what is over of the repository's branches."""
    matched = {
        branch.name: branch.head
        for branch in snapshot.branches
        if branch.name in desired.wanted or branch.name in desired.ended
    }
    own = find_previews(observed.deployments, scope.control_plane, scope.project)
    pulls = (each for each in (*snapshot.pull_requests, *snapshot.bystanders) if each.is_open and not each.is_from_fork)
    spoken = own.keys() | {pull.head_ref for pull in pulls}
    candidates = {slug_branch(name): head for name, head in matched.items() if name not in spoken}
    rules, digests = _name_rules(scope), memory.past_digests.read()
    now, then = _digest(candidates, memory.past.place), digests.digests if digests else {}
    moved = {shard for shard, digest in then.items() if now.get(shard) != digest}
    noted = {slug: head for slug, head in candidates.items() if memory.past.place(slug) in then.keys() - moved}
    noted |= memory.past.read(moved) if moved else {}
    counts = digests is not None and digests.rules == rules
    return PastPreviews(
        candidates=candidates,
        names={slug_branch(name): name for name in matched if name not in spoken},
        matched=frozenset(map(slug_branch, matched)),
        existing=frozenset(slug_branch(branch.name) for branch in snapshot.branches),
        noted=noted,
        over=frozenset(slug for slug, head in candidates.items() if counts and noted.get(slug) == head),
        merged=frozenset(map(slug_branch, desired.ended)) & candidates.keys(),
        rules=rules,
        digests=digests,
    )


def _name_rules(scope: Scope) -> str:
    """Return what it depends on, beside its head, that a branch is over: merged, or of no concern."""
    project, previews = scope.project, scope.project.previews
    words: list[Any] = [sorted(previews.merged_into) if previews else [], project.repository.casefold()]
    # What is not set is left out: what a release before such a key noted still counts.
    if previews is not None and previews.require_label is not None:
        words.append(previews.require_label)
    if scope.previews_by_change or project.root != ".":
        words += [scope.previews_by_change, project.root, project.ignore, project.also_watch]
    return hash_text(json.dumps(words), _DIGEST_LENGTH)


def _digest(heads: Heads, place: Callable[[str], str]) -> dict[str, str]:
    """Return a name for what lies in each shard that holds something."""
    shards: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for pair in heads.items():
        shards[place(pair[0])].append(pair)
    return {shard: hash_text(json.dumps(sorted(pairs)), _DIGEST_LENGTH) for shard, pairs in sorted(shards.items())}
