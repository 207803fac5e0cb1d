"""The approval step: shows a person what a deploy would change, and waits, holding no slot of anything.

The page is made when the task begins to wait. Airflow keeps the first page of a task that is cleared later: it asks
again with it, which is why the step after it reads everything once more.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.target.release import summarize, summarize_subject
from include.deploy_ops.observation.release_facts import ReleaseReader
from include.deploy_ops.operators.answer import AskOperator
from include.deploy_ops.operators.base import DeployOpsOperator, tell_failures
from include.deploy_ops.operators.notify import APPROVAL, describe_job, notify
from include.deploy_ops.run.decision import load_release_decision

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.deploy_ops.run.scope import Scope

PREPARE_TASK, CHANGE_TYPE_TASK, APPROVE_TASK, RECHECK_TASK, DISPATCH_TASK = (
    "prepare",
    "change_type",
    "approve",
    "recheck",
    "dispatch",
)


class ApproveReleaseOperator(DeployOpsOperator, AskOperator):
    """Asks for approval of a release; returns the answer as JSON, also a rejection."""

    job_task: ClassVar[str] = PREPARE_TASK
    verbs = (Verb.REQUEST, Verb.DEPLOY)

    def __init__(self, *, scope: Scope, target: str, **kwargs: Any) -> None:
        super().__init__(
            scope=scope,
            subject=f"Deploy to {target}?",
            response_timeout=scope.target(target).approval_timeout,
            **kwargs,
        )

    @tell_failures
    def execute(self, context: Context) -> Any:
        """Make the page and park the task."""
        job = self.begin(context)
        self.refuse_dry(job, f"ask for approval to deploy {job.deployed_commit[:12]} to {job.target}")
        decision = load_release_decision(self.need(context, CHANGE_TYPE_TASK))
        reader = ReleaseReader(self.scope, self.github, self.astro, self.memory(context))
        release = reader.read(job, decision, datetime.now(UTC))
        self.subject, self.body = summarize_subject(release), summarize(release, self.github.web_url)
        notify(self.scope, context, describe_job(APPROVAL, job, self.subject))
        return super().execute(context)
