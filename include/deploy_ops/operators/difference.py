"""One pass's difference: what was read of GitHub and Astro, compared for previews, targets and the deploy branch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from include.deploy_ops.desired import derive_previews
from include.deploy_ops.naming import PROMOTION_SLUG
from include.deploy_ops.operators.observe_targets import TargetObserver
from include.deploy_ops.planner import Difference, Work, compare
from include.deploy_ops.promotion_plan import compare_promotion
from include.deploy_ops.targets import compare_target

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.deploy_ops.desired import RepositorySnapshot
    from include.deploy_ops.operators.observe import Observer
    from include.deploy_ops.operators.scope import Scope
    from include.deploy_ops.planner import Hold, Observed

NO_PREVIEWS = Difference((), (), 0)


@dataclass(frozen=True, slots=True)
class Comparer:
    """Compares what one pass observes."""

    scope: Scope
    observer: Observer

    def compare(self) -> Difference:
        """Return what is due and what is held."""
        snapshot = self.observer.read_repository()
        observed = self.observer.read_astro()
        previews = self._compare_previews(snapshot, observed)
        found = [*self._compare_targets(snapshot, observed), *self._compare_promotion(snapshot)]
        works = tuple(each for each in found if isinstance(each, Work))
        holds = tuple(each for each in found if not isinstance(each, Work))
        return replace(previews, works=(*previews.works, *works), holds=(*previews.holds, *holds))

    def _compare_previews(self, snapshot: RepositorySnapshot, observed: Observed) -> Difference:
        project = self.scope.project
        if project.previews is None:
            return NO_PREVIEWS
        return compare(
            project,
            control_plane=self.scope.control_plane,
            policy=self.scope.policy,
            targets=self.scope.targets,
            desired=derive_previews(project, snapshot),
            observed=observed,
            template=self.observer.read_template(snapshot, observed.deployments),
        )

    def _compare_targets(self, snapshot: RepositorySnapshot, observed: Observed) -> Iterable[Work | Hold]:
        project = self.scope.project
        reader = TargetObserver(project, self.observer.github, self.observer.memory)
        for state in reader.read_states(snapshot, observed):
            if (found := compare_target(state, project.name, self.scope.policy)) is not None:
                yield found

    def _compare_promotion(self, snapshot: RepositorySnapshot) -> Iterable[Work | Hold]:
        if self.scope.project.promotion is None:
            return
        promoted = self.observer.memory.read_environment(PROMOTION_SLUG).promoted
        if (found := compare_promotion(self.scope.project, snapshot, promoted)) is not None:
            yield found
