"""One pass's difference: what was read of GitHub and Astro, compared for previews, targets and the deploy branch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from include.deploy_ops.core.cleanup.comparison import ExpiryFacts, compare_expiry, read_labels
from include.deploy_ops.core.cleanup.verdict import drop_doubted
from include.deploy_ops.core.naming import PROMOTION_SLUG, slug_branch, slug_target
from include.deploy_ops.core.plan.work import Difference, Hold, Work
from include.deploy_ops.core.preview.comparison import compare
from include.deploy_ops.core.preview.desired import DesiredPreviews, RepositorySnapshot, derive_previews
from include.deploy_ops.core.preview.hibernation import find_wake
from include.deploy_ops.core.promotion.comparison import compare_promotion
from include.deploy_ops.core.target.comparison import TargetState, compare_target
from include.deploy_ops.core.template.drift import Drifted
from include.deploy_ops.core.view.row import RowKind
from include.deploy_ops.observation.past import PastPreviews, find_past
from include.deploy_ops.observation.targets import TargetObserver

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from include.deploy_ops.core.model import Branch
    from include.deploy_ops.core.preview.observed import Observed
    from include.deploy_ops.observation.commit_checks import CheckReader
    from include.deploy_ops.observation.observe import Observer
    from include.deploy_ops.run.scope import Scope

NO_PREVIEWS = Difference((), (), 0)


@dataclass(frozen=True, slots=True)
class Observation:
    """What one pass read; `desired` and `past` are None without previews in the policy.

    `desired` is without what is `past`.
    """

    snapshot: RepositorySnapshot
    observed: Observed
    desired: DesiredPreviews | None
    targets: tuple[TargetState, ...]
    past: PastPreviews | None = None

    @property
    def wanted(self) -> Mapping[str, Branch]:
        """The branches that should have a preview, by name."""
        return self.desired.wanted if self.desired else {}


@dataclass(frozen=True, slots=True)
class Comparer:
    """Compares what one pass observes."""

    scope: Scope
    observer: Observer
    checks: CheckReader | None = None

    def look(self) -> Observation:
        """Read repository and Astro, in this order."""
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
        return Observation(snapshot, observed, desired, reader.read_states(snapshot, observed), past)

    def compare(self, observation: Observation) -> Difference:
        """Return what is due and what is held."""
        previews = self._compare_previews(observation)
        found = [
            *self._compare_expiry(observation),
            *self._compare_targets(observation),
            *self._compare_promotion(observation.snapshot),
        ]
        works = tuple(each for each in found if isinstance(each, Work))
        holds = tuple(each for each in found if not isinstance(each, Work))
        drift = [Drifted(slug_target(each.name), each.name, each.drift) for each in observation.targets if each.drift]
        return replace(
            previews,
            works=(*previews.works, *works),
            holds=(*previews.holds, *holds),
            drift=(*previews.drift, *drift),
            notes=(*previews.notes, *_tell_unknown(observation.targets)),
        )

    def _compare_previews(self, observation: Observation) -> Difference:
        if observation.desired is None:
            return NO_PREVIEWS
        template = self.observer.read_template(observation.snapshot, observation.observed.deployments)
        return compare(
            self.scope.project,
            control_plane=self.scope.control_plane,
            policy=self.scope.policy,
            targets=self.scope.targets,
            desired=observation.desired,
            observed=observation.observed,
            template=replace(template, guard=self.scope.new_name_ban or template.guard),
        )

    def _compare_expiry(self, observation: Observation) -> Iterable[Work | Hold]:
        memory, now = self.observer.memory, datetime.now(UTC)
        verdicts = drop_doubted(memory.verdicts.read(), memory.read_continuity(now).since)
        if observation.desired is None or not verdicts:
            return ()
        rows = memory.read_rows()  # once: there may be hundreds of verdicts
        woken = {
            each.branch: find_wake(rows.get(slug_branch(each.branch)), deployment, now)
            for deployment in observation.observed.deployments
            if (each := verdicts.get(deployment.id)) is not None
        }
        return compare_expiry(
            self.scope.project,
            control_plane=self.scope.control_plane,
            targets=self.scope.targets,
            desired=observation.desired,
            observed=observation.observed,
            facts=ExpiryFacts(
                verdicts,
                {name: at for name, at in woken.items() if at},
                read_labels(observation.snapshot.pull_requests),
                {row.branch: row.kept for row in rows.values() if row.kind is RowKind.PREVIEW},
                memory.uses.read() if self.scope.previews.counts_runs else None,
            ),
            now=now,
        )

    def _compare_targets(self, observation: Observation) -> Iterable[Work | Hold]:
        for state in observation.targets:
            if (found := compare_target(state, self.scope.project.name, self.scope.policy)) is not None:
                yield found

    def _compare_promotion(self, snapshot: RepositorySnapshot) -> Iterable[Work | Hold]:
        if self.scope.project.promotion is None:
            return
        promoted = self.observer.memory.environment(PROMOTION_SLUG).read().promoted
        if (found := compare_promotion(self.scope.project, snapshot, promoted)) is not None:
            yield found


def _tell_unknown(targets: Iterable[TargetState]) -> Iterable[str]:
    """Return of which targets nobody knows whether they differ from their templates, and why."""
    return (
        f"whether {each.name} differs in Astro from its template is not known: {each.drift_problem}"
        for each in targets
        if each.drift_problem
    )
