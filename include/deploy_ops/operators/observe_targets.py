"""One pass's view of the project's targets: each one's source on GitHub, its Deployment, and what is remembered of it.

Reads only. Of pull requests that a target follows, GitHub is asked for the test merge; of everything else, nothing more
than the pass has read already.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.deploy_ops.errors import CommitMissingError
from include.deploy_ops.history import DeployHistory
from include.deploy_ops.naming import slug_target
from include.deploy_ops.operators.sources import make_tip, read_release
from include.deploy_ops.schedule import Remembered
from include.deploy_ops.targets import TargetState, find_release

if TYPE_CHECKING:
    from include.deploy_ops.desired import RepositorySnapshot
    from include.deploy_ops.hooks.github_pulls import GithubPullsHook
    from include.deploy_ops.operators.memory import Memory
    from include.deploy_ops.planner import Observed
    from include.deploy_ops.policy import Project, Target
    from include.deploy_ops.targets import Source


@dataclass(frozen=True, slots=True)
class TargetObserver:
    """Reads the sources of one project's targets."""

    project: Project
    github: GithubPullsHook
    memory: Memory

    def read_states(self, snapshot: RepositorySnapshot, observed: Observed) -> tuple[TargetState, ...]:
        """Return every target's state, in the policy's order."""
        return tuple(self.read_state(name, target, snapshot, observed) for name, target in self.project.targets.items())

    def read_state(self, name: str, target: Target, snapshot: RepositorySnapshot, observed: Observed) -> TargetState:
        """Return one target's state."""
        deployments = tuple(each for each in observed.deployments if each.name == target.deployment)
        history = observed.histories.get(deployments[0].id, DeployHistory()) if deployments else DeployHistory()
        source = self._find_source(target, snapshot)
        return TargetState(
            name=name,
            target=target,
            source=source,
            deployments=deployments,
            history=history,
            deployed_base=self._find_deployed_base(source, history),
            remembered=self.memory.read_environment(slug_target(name)) if source else Remembered(),
        )

    def _find_source(self, target: Target, snapshot: RepositorySnapshot) -> Source | None:
        if target.followed_branch is not None:
            heads = {branch.name: branch.head for branch in snapshot.branches}
            return make_tip(target.followed_branch, heads.get(target.followed_branch))
        pull = find_release(target, snapshot.pull_requests)
        return read_release(self.github, pull) if pull else None

    def _find_deployed_base(self, source: Source | None, history: DeployHistory) -> str:
        """Return the base of the test merge that runs; GitHub is asked only when the head is the deployed one."""
        if source is None or not source.pull or history.head != source.head or history.dags_commit is None:
            return ""
        try:
            parents = self.github.get_commit(history.dags_commit).parents
        except CommitMissingError:  # GitHub keeps no test merge for ever: then it is deployed anew
            return ""
        return parents[0] if parents[1:] == (source.head,) else ""
