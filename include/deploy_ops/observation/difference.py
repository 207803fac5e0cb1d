"""What one pass reads of GitHub, Astro and memory, as a value, and what is due by it (`core/passes/decision.py`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from include.deploy_ops.core.cleanup.comparison import ExpiryFacts, read_labels
from include.deploy_ops.core.cleanup.verdict import drop_doubted
from include.deploy_ops.core.naming import PROMOTION_SLUG, slug_branch
from include.deploy_ops.core.passes.decision import compare_all
from include.deploy_ops.core.passes.reading import Reading
from include.deploy_ops.core.preview.desired import DesiredPreviews, RepositorySnapshot, derive_previews
from include.deploy_ops.core.preview.hibernation import find_wake
from include.deploy_ops.core.view.row import RowKind
from include.deploy_ops.observation.past import PastPreviews, find_past
from include.deploy_ops.observation.targets import TargetObserver

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.deploy_ops.core.model import Branch
    from include.deploy_ops.core.plan.work import Difference
    from include.deploy_ops.core.preview.observed import Observed, TemplateState
    from include.deploy_ops.core.target.comparison import TargetState
    from include.deploy_ops.observation.commit_checks import CheckReader
    from include.deploy_ops.observation.observe import Observer
    from include.deploy_ops.run.scope import Scope


@dataclass(frozen=True, slots=True)
class Observation:
    """What one pass read; `desired` and `past` are None without previews in the policy.

    `desired` is without what is `past`. `template`, `expiry` and `promoted` are as in `Reading`.
    """

    snapshot: RepositorySnapshot
    observed: Observed
    desired: DesiredPreviews | None
    targets: tuple[TargetState, ...]
    past: PastPreviews | None = None
    template: TemplateState | None = None
    expiry: ExpiryFacts | None = None
    promoted: str = ""

    @property
    def wanted(self) -> Mapping[str, Branch]:
        """The branches that should have a preview, by name."""
        return self.desired.wanted if self.desired else {}

    @property
    def reading(self) -> Reading:
        """The same as it was read, whatever the policy says of it."""
        over = self.past.over if self.past else frozenset()
        return Reading(
            self.snapshot, self.observed, self.template, self.targets, self.expiry, self.promoted, frozenset(over)
        )


@dataclass(frozen=True, slots=True)
class Comparer:
    """Reads what one pass goes by, and compares it."""

    scope: Scope
    observer: Observer
    checks: CheckReader | None = None

    def look(self) -> Observation:
        """Read repository and Astro, in this order, and what is compared with them."""
        # Between the two readings either side may move: whatever writes looks once more at what it is about.
        reading = self.observer.read_repository()
        snapshot, observed = reading.snapshot, self.observer.read_astro()
        desired = derive_previews(self.scope.project, snapshot) if self.scope.project.previews else None
        past = None
        if desired is not None:
            past = find_past(self.scope, self.observer.memory, desired, snapshot, observed)
            desired = past.leave_out(desired)
        reading.keep(past.has if past else lambda _: False)
        observer = self.observer
        reader = TargetObserver(self.scope, observer.github, observer.memory, observer.seals, self.checks)
        observation = Observation(snapshot, observed, desired, reader.read_states(snapshot, observed), past)
        template = observer.read_template(snapshot, observed.deployments) if desired is not None else None
        return replace(
            observation, template=template, expiry=self._read_expiry(observation), promoted=self._read_promoted()
        )

    def compare(self, observation: Observation, now: datetime) -> Difference:
        """Return what is due and what is held."""
        return compare_all(self.scope.rules, observation.reading, now)

    def _read_expiry(self, observation: Observation) -> ExpiryFacts | None:
        memory, now = self.observer.memory, datetime.now(UTC)
        if observation.desired is None:
            return None
        verdicts = drop_doubted(memory.verdicts.read(), memory.read_continuity(now).since)
        if not verdicts:
            return None
        rows = memory.read_rows()  # once: there may be hundreds of verdicts
        woken = {
            each.branch: find_wake(rows.get(slug_branch(each.branch)), deployment, now)
            for deployment in observation.observed.deployments
            if (each := verdicts.get(deployment.id)) is not None
        }
        return ExpiryFacts(
            verdicts,
            {name: at for name, at in woken.items() if at},
            read_labels(observation.snapshot.pull_requests),
            {row.branch: row.kept for row in rows.values() if row.kind is RowKind.PREVIEW},
            memory.uses.read() if self.scope.previews.counts_runs else None,
        )

    def _read_promoted(self) -> str:
        if self.scope.project.promotion is None:
            return ""
        return self.observer.memory.environment(PROMOTION_SLUG).read().promoted
