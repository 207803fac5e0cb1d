"""The decide step: writes down what a person decided about an environment; control acts on it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from include.deploy_ops.core.history import read_history
from include.deploy_ops.core.plan.work import ROLLBACK_ENDING, Verb
from include.deploy_ops.core.verification.mute import Mute, add_mute
from include.deploy_ops.operators.base import SOURCE_LINKS, DeployOpsOperator, tell_failures

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.deploy_ops.core.history import DeployHistory
    from include.deploy_ops.core.plan.remembered import Remembered
    from include.deploy_ops.run.job import Job

_DEPLOYS = frozenset({Verb.DEPLOY.value, ROLLBACK_ENDING})
"""Under what it is remembered how deploys to a target ended."""


class DecideOperator(DeployOpsOperator):
    """Remembers that a preview is kept, an error muted, or a target's override ended; returns it in words."""

    verbs = (Verb.KEEP, Verb.RESUME, Verb.MUTE)
    operator_extra_links = SOURCE_LINKS

    @tell_failures
    def execute(self, context: Context) -> str:
        """Write the decision."""
        job = self.begin(context)
        memory = self.memory(context)
        who = f"by {job.person}" if job.person else "on request"
        self.refuse_dry(job, f"{job.verb.value} {job.environment}")
        known = memory.environment(job.slug).read()
        said = f"{job.verb.value} {job.environment} {who}: {job.reason}"
        if job.verb is Verb.MUTE:
            mutes = memory.mutes(job.slug)
            mutes.write(add_mute(mutes.read(), Mute(job.file, job.reason, job.person, datetime.now(UTC))))
            self.log.info("%s", said)
            return said
        if job.verb is Verb.KEEP:
            decided = replace(known, kept=f"{who}: {job.reason}", kept_id=job.deployment_id)
        else:
            history = read_history(self.astro.list_deploys(job.deployment_id), self.scope.owner)
            decided = _resume(known, history)
            if idle := self._find_idleness(job, known, history):
                said = f"{said}; nothing is deployed: {idle}"
        memory.environment(job.slug).write(decided)
        self.log.info("%s", said)
        return said

    def _find_idleness(self, job: Job, known: Remembered, history: DeployHistory) -> str:
        """Return why nothing follows from resuming a target; empty where its source is deployed, or asked for."""
        release = self.scope.target(job.target).pull_request
        if release is not None and not job.pull:
            return f"no pull request from {release.source} into {release.into} is open; it stays as it is until one is"
        is_held = history.overridden_by or known.endings.keys() & _DEPLOYS
        return "" if is_held else "nobody overrode what it follows"


def _resume(known: Remembered, history: DeployHistory) -> Remembered:
    """Return what is remembered once a target's override has ended; its deploy may start at once."""
    endings = {key: each for key, each in known.endings.items() if key not in _DEPLOYS}
    return replace(known, resumed=history.newest_id, endings=endings)
