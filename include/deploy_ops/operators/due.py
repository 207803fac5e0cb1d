"""Is planned work at a target still due? The planner's own rule, over what is read now: also policy and approval."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.deploy_ops.desired import RepositorySnapshot
from include.deploy_ops.errors import SupersededError
from include.deploy_ops.history import read_history
from include.deploy_ops.model import Branch
from include.deploy_ops.operators.checks import check_target
from include.deploy_ops.operators.observe_targets import TargetObserver
from include.deploy_ops.planner import Observed, Work
from include.deploy_ops.targets import compare_target

if TYPE_CHECKING:
    from include.deploy_ops.operators.base import DeployOpsOperator
    from include.deploy_ops.operators.job import Job
    from include.deploy_ops.operators.memory import Memory


def check_due(operator: DeployOpsOperator, memory: Memory, job: Job) -> None:
    """Raise SupersededError unless the planner still asks for what the job is to do at its target."""
    scope, github, astro = operator.scope, operator.github, operator.astro
    target = scope.target(job.target)
    deployment = check_target(scope, astro, job)
    observed = Observed((deployment,), {deployment.id: read_history(astro.list_deploys(deployment.id))})
    followed = target.followed_branch
    branches = (github.get_branch(followed),) if followed else ()
    pulls = () if followed else github.list_pull_requests_from(job.branch)
    snapshot = RepositorySnapshot(tuple(Branch(each.name, each.head) for each in branches), pulls)
    state = TargetObserver(scope.project, github, memory).read_state(job.target, target, snapshot, observed)
    due = compare_target(state, scope.project.name, scope.policy)
    wanted = (job.verb, job.pull, job.head, job.base)
    if not isinstance(due, Work) or (due.verb, due.pull, due.head, due.base) != wanted:
        raise SupersededError(f"to {job.verb.value} {job.head[:12]} is not due any more: {due or 'nothing is'}")
