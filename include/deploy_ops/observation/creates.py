"""Which previews are not to be made after all: asked of GitHub by name right before, once for each state of a branch.

An old merge may lie beyond what the passes have read, and a name that is no UTF-8 is nobody's when it is asked for.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from include.deploy_ops.core.naming import hash_text
from include.deploy_ops.core.plan.remembered import Rejection
from include.deploy_ops.core.plan.work import Difference, Hold, HoldKind, Plan, Verb, Work
from include.deploy_ops.core.preview.desired import RepositorySnapshot, describe_merge, find_merge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.deploy_ops.core.model import PullRequest
    from include.deploy_ops.hooks.github.pulls import GithubPullsHook
    from include.deploy_ops.run.memory import Memory
    from include.deploy_ops.run.scope import Scope

REJECTED_MAX = 50
"""New rejections after which a pass asks no further: each costs two requests to GitHub."""

GONE_FOR = timedelta(hours=1)
"""How long a branch that the listing has and nobody finds by its name is not asked for again."""

_BASIS_LENGTH = 16


@dataclass
class CreateCheck:
    """The check of one pass.

    :param difference: all that is due; what is known of other branches is forgotten.
    """

    scope: Scope
    github: GithubPullsHook
    memory: Memory
    snapshot: RepositorySnapshot
    difference: Difference
    now: datetime
    _bases: Mapping[str, str] = field(init=False)
    _rejected: dict[str, Rejection] = field(init=False)
    _asked: set[str] = field(init=False, default_factory=set)
    _count: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._bases = self._find_bases()
        known = self.memory.rejections.read() if self._bases else {}
        self._rejected = {
            slug: each for slug, each in known.items() if each.covers(self._bases.get(slug, ""), self.now)
        }
        self.memory.rejections.write(known, self._rejected)

    def hold_rejected(self, difference: Difference) -> Difference:
        """Return the difference in which no rejected preview is due any more."""
        works, holds = [], list(difference.holds)
        for work in difference.works:
            rejection = self._rejected.get(work.slug) if work.verb is Verb.CREATE else None
            if rejection is None:
                works.append(work)
            else:
                reason = f"{rejection.reason}, at this head"
                holds.append(Hold(work.branch, work.verb.value, reason, kind=HoldKind.ENDED))
        return replace(difference, works=tuple(works), holds=tuple(holds))

    def is_final(self, slug: str) -> bool:
        """Whether a rejection of the preview lasts until its branch moves, where there is one."""
        rejection = self._rejected.get(slug)
        return rejection is None or rejection.until is None

    def check(self, plan: Plan) -> bool:
        """Ask about the previews that the plan would make; return whether some were rejected, so that others may go."""
        before = dict(self._rejected)
        for work in self._list_unasked(plan):
            if self._count >= REJECTED_MAX:
                break
            self._asked.add(work.slug)
            if (rejection := self._ask(work)) is not None:
                self._rejected[work.slug] = rejection
                self._count += 1
        self.memory.rejections.write(before, self._rejected)
        return self._rejected != before

    def defer_unasked(self, plan: Plan) -> Plan:
        """Return the plan without the previews that nobody asked about, since too many others were rejected."""
        late = self._list_unasked(plan)
        reason = f"{REJECTED_MAX} others were found to be over; the next pass goes on"
        holds = (Hold(work.branch, work.verb.value, reason, kind=HoldKind.WAITING) for work in late)
        actions = tuple(action for action in plan.actions if action.work not in late)
        return replace(plan, actions=actions, holds=(*plan.holds, *holds))

    def _list_unasked(self, plan: Plan) -> list[Work]:
        works = [action.work for action in plan.actions]
        return [work for work in works if work.verb is Verb.CREATE and work.slug not in self._asked]

    def _ask(self, work: Work) -> Rejection | None:
        basis = self._bases[work.slug]
        branch = self.github.find_branch_beside(work.branch, self.scope.project.trunk)
        if branch is None:
            return Rejection(basis, "the branch is gone", self.now + GONE_FOR)
        merge = find_merge(self.scope.project, branch, self.github.list_pull_requests_from(work.branch))
        if merge is None:
            return None
        # A head that moved since the listing: what was found is not about the head that the next passes see.
        return Rejection(basis, describe_merge(merge), None if branch.head == work.head else self.now)

    def _find_bases(self) -> Mapping[str, str]:
        """Return a name for what is known of each branch that is due a preview, by slug."""
        creates = [work for work in self.difference.works if work.verb is Verb.CREATE]
        pulls: defaultdict[str, list[PullRequest]] = defaultdict(list)
        for pull in self.snapshot.pull_requests if creates else ():
            pulls[pull.head_ref].append(pull)
        into = self.scope.project.previews.merged_into if self.scope.project.previews else ()
        return {work.slug: _name_basis(work, into, pulls[work.branch]) for work in creates}


def _name_basis(work: Work, into: object, pulls: list[PullRequest]) -> str:
    known = sorted((pull.number, pull.base_ref, pull.head_sha, pull.is_open, pull.is_merged) for pull in pulls)
    return hash_text(json.dumps([work.head, into, known]), _BASIS_LENGTH)
