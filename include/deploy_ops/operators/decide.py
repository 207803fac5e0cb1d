"""The decide step: writes down what a person decided about an environment; control acts on it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from include.deploy_ops.core.history import read_history
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.operators.base import DeployOpsOperator, tell_failures

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.deploy_ops.core.plan.remembered import Remembered
    from include.deploy_ops.run.job import Job


class DecideOperator(DeployOpsOperator):
    """Remembers that a preview is kept, or that a target's override has ended; returns it in words."""

    verbs = (Verb.KEEP, Verb.RESUME)

    @tell_failures
    def execute(self, context: Context) -> str:
        """Write the decision."""
        job = self.begin(context)
        memory = self.memory(context)
        who = f"by {job.person}" if job.person else "on request"
        self.refuse_dry(job, f"{job.verb.value} {job.environment}")
        known = memory.environment(job.slug).read()
        memory.environment(job.slug).write(self._decide(job, known, who))
        said = f"{job.verb.value} {job.environment} {who}: {job.reason}"
        self.log.info("%s", said)
        return said

    def _decide(self, job: Job, known: Remembered, who: str) -> Remembered:
        if job.verb is Verb.KEEP:
            return replace(known, kept=f"{who}: {job.reason}", kept_id=job.deployment_id)
        newest = read_history(self.astro.list_deploys(job.deployment_id), self.scope.owner).newest_id
        endings = {key: each for key, each in known.endings.items() if key != Verb.DEPLOY.value}  # it may start at once
        return replace(known, resumed=newest, endings=endings)
