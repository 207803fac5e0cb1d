"""What one pass looked at and decided, as the rows are made of it, and looked up in by environment. Pure values."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from include.deploy_ops.core.cleanup.verdict import Verdict
from include.deploy_ops.core.model import PullRequest
from include.deploy_ops.core.plan.outcome import Ended, Outcome
from include.deploy_ops.core.plan.remembered import Remembered
from include.deploy_ops.core.plan.work import Action, Hold, Plan
from include.deploy_ops.core.template.drift import Drift
from include.deploy_ops.core.verification.verdict import Verification
from include.deploy_ops.core.view.row import Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from include.deploy_ops.core.policy.keys import Project
    from include.deploy_ops.core.preview.desired import RepositorySnapshot
    from include.deploy_ops.core.preview.observed import Observed
    from include.deploy_ops.core.target.comparison import TargetState

V = TypeVar("V")


@dataclass(frozen=True)
class PassRecord:
    """What one pass looked at and decided.

    `wanted` are the branches that should have a preview, with their heads; `in_flight`, `remembered`, `before` and
    `verifications` (of whatever deploy record) are by slug, `verdicts` by Deployment id, `authors` by commit. `ended`
    are the runs that ended since the last pass. `unfilled` are the secret variables of the previews' template that
    nothing fills, `drift` what differs in Astro, by slug.
    """

    project: Project
    control_plane: str
    now: datetime
    snapshot: RepositorySnapshot
    observed: Observed
    wanted: Mapping[str, str]
    targets: Sequence[TargetState]
    plan: Plan
    in_flight: Mapping[str, str] = field(default_factory=dict)
    remembered: Mapping[str, Remembered] = field(default_factory=dict)
    before: Mapping[str, Row] = field(default_factory=dict)
    ended: Sequence[Ended] = ()
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    authors: Mapping[str, str] = field(default_factory=dict)
    unfilled: tuple[str, ...] = ()
    verifications: Mapping[str, Verification] = field(default_factory=dict)
    drift: Mapping[str, tuple[Drift, ...]] = field(default_factory=dict)

    # What is looked up for each row is sorted once: there may be thousands of each.

    @cached_property
    def heads(self) -> Mapping[str, str]:
        """The heads of all branches, by name."""
        return {branch.name: branch.head for branch in self.snapshot.branches}

    @cached_property
    def open_pulls(self) -> Mapping[str, Sequence[PullRequest]]:
        """The open pull requests by the branch that they come from."""
        return _sort_by((each.head_ref, each) for each in self.snapshot.pull_requests if each.is_open)

    @cached_property
    def open_numbers(self) -> frozenset[int]:
        """The numbers of the open pull requests."""
        return frozenset(each.number for each in self.snapshot.pull_requests if each.is_open)

    @cached_property
    def holds(self) -> Mapping[str, Sequence[Hold]]:
        """What is held, by slug."""
        return _sort_by((hold.home, hold) for hold in self.plan.holds)

    @cached_property
    def starts(self) -> Mapping[str, Action]:
        """What starts now, by slug."""
        return {action.work.slug: action for action in reversed(self.plan.actions)}

    @cached_property
    def outcomes(self) -> Mapping[str, Sequence[Outcome]]:
        """How runs ended since the last pass, by slug."""
        return _sort_by((each.slug, each.outcome) for each in self.ended)


def _sort_by(pairs: Iterable[tuple[str, V]]) -> Mapping[str, Sequence[V]]:
    found: defaultdict[str, list[V]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return found
