"""Is an idle preview's end still due? What is read again right before it hibernates or is deleted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from include.deploy_ops.errors import SupersededError
from include.deploy_ops.expiry_plan import lets_rest, read_labels
from include.deploy_ops.history import read_history
from include.deploy_ops.operators.checks import find_branch
from include.deploy_ops.planner import Verb
from include.deploy_ops.verdict import ACTED_ON, describe_exemption, find_end
from include.deploy_ops.view_rows import find_wake

if TYPE_CHECKING:
    from include.deploy_ops.model import Deployment
    from include.deploy_ops.operators.base import DeployOpsOperator
    from include.deploy_ops.operators.job import Job
    from include.deploy_ops.operators.memory import Memory
    from include.deploy_ops.verdict import Verdict


def check_expired(operator: DeployOpsOperator, memory: Memory, job: Job, deployment: Deployment) -> Verdict:
    """Return the verdict by which the preview ends; raise SupersededError unless it still stands and is due.

    Read afresh: the verdict, the branch's head, the deploy records, who keeps the preview, its labels, its override.
    """
    verdict, now = memory.read_verdicts().get(deployment.id), datetime.now(UTC)
    previews = operator.scope.previews
    rests = verdict is not None and job.verb is Verb.HIBERNATE and lets_rest(verdict, previews, now)
    is_meant = verdict is not None and verdict.verb == job.verb.value and verdict.standing in ACTED_ON
    if verdict is None or not (rests or is_meant):
        raise SupersededError(f"cleanup wants {job.branch} to {job.verb.value} no more")
    if verdict.due_at > now and not rests:
        raise SupersededError(f"{job.branch} was told that it has until {verdict.due_at:%Y-%m-%d %H:%M} UTC")
    if verdict.is_overdue(now, previews.delete_notice):
        raise SupersededError(f"{job.branch} was told of {verdict.due_at:%Y-%m-%d %H:%M} UTC, too long ago")
    ended = find_end(
        verdict,
        deployment_id=deployment.id,
        head=find_branch(operator.scope, operator.github, job).head,
        history=read_history(operator.astro.list_deploys(deployment.id)),
        woken_at=find_wake(memory.read_row(job.slug), deployment, now),
    )
    labels = read_labels(operator.github.list_pull_requests_from(job.branch)).get(job.branch, ())
    kept = memory.read_environment(job.slug).kept
    if reason := ended or describe_exemption(kept, labels, previews.keep_label):
        raise SupersededError(f"{job.branch} stays: {reason}")
    return verdict
